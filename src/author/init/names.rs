//! What the name or the text of a value tells about secrets.

use email_address::EmailAddress;

use crate::url::{self, Url};

/// Parts of names whose values are secrets, separated by spaces.
const SECRETS: &str = "SECRET SECRETS PASSWORD PASSWORDS PASSWD PASS PASSPHRASE PASSCODE PWD PW TOKEN TOKENS KEY KEYS APIKEY \
    APITOKEN CREDENTIAL CREDENTIALS CREDS PRIVATE SALT PEPPER DSN PIN OTP COOKIE JWT HMAC SIGNATURE WEBHOOK";

/// Parts of names whose values are public although another part is one of a secret.
const PUBLIC: &str = "PUBLIC PUBLISHABLE PRIMARY FOREIGN SORT PARTITION SITE";

/// The last parts of names that are about a secret without being one, such as `TOKEN_EXPIRE_MINUTES`.
const ABOUT: &str = "EXPIRE EXPIRES EXPIRY EXPIRATION MINUTES SECONDS HOURS DAYS MS TTL AGE MAXAGE LENGTH LEN SIZE MIN MAX \
    COUNT LIMIT ALGORITHM ALGORITHMS ALG ALGO URL URI ENDPOINT HOST PORT NAME ID IDS PATH FILE DIR HEADER PREFIX SUFFIX TYPE \
    ENABLED DISABLED REQUIRED SECURE HTTPONLY SAMESITE DOMAIN POLICY ISSUER AUDIENCE REGION BACKEND VERSION ARN SCHEME SCHEMES \
    ROUNDS ITERATIONS LIFETIME VALIDITY DURATION TIMEOUT";

/// The ends of the names of URLs that usually contain a password, separated by spaces.
const URLS: &str = "DATABASE_URL DATABASE_URI DB_URL DB_URI POSTGRES_URL POSTGRES_URI POSTGRESQL_URL PG_URL MYSQL_URL \
    REDIS_URL REDIS_URI MONGO_URL MONGO_URI MONGODB_URL MONGODB_URI AMQP_URL RABBITMQ_URL BROKER_URL RESULT_BACKEND \
    SMTP_URL WEBHOOK_URL";

/// Keys that a service makes for itself, so that any random text is right, separated by spaces.
const OWN: &str = "SECRET_KEY JWT_SECRET JWT_SECRET_KEY JWT_REFRESH_SECRET JWT_REFRESH_SECRET_KEY SESSION_SECRET \
    SESSION_SECRET_KEY COOKIE_SECRET CSRF_SECRET CSRF_SECRET_KEY DJANGO_SECRET_KEY FLASK_SECRET_KEY APP_SECRET_KEY";

/// Values that are certainly no secrets, in lower case, separated by spaces.
const WORDS: &str = "development dev production prod staging test testing local debug info warning warn error critical true \
    false yes no on off hs256 hs384 hs512 rs256 es256 utc utf-8 localhost memory redis postgres sqlite json text console lax \
    strict none smtp http https";

/// The longest part of a text that is taken for a word, in bytes.
const LONGEST_WORD: usize = 20;

/// The longest part with letters and digits that is taken for a name, such as `sha256`, in bytes.
const LONGEST_CODE: usize = 6;

/// The longest part with letters and digits in any order that is taken for a number with its unit, such as `30s`, in bytes.
const LONGEST_UNIT: usize = 3;

fn has(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == word)
}

/// Whether a variable with this name holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let mut parts: Vec<&str> = upper.split(['_', '-', '.']).collect();
    // A number distinguishes several secrets: `TOKEN_2`.
    parts.retain(|part| !part.bytes().all(|byte| byte.is_ascii_digit()));
    let last = parts.last().copied().unwrap_or_default();
    let is_one = |part: &&str| {
        has(
            SECRETS,
            part.trim_end_matches(|last: char| last.is_ascii_digit()),
        )
    };
    let is_public = has(ABOUT, last) || parts.iter().any(|part| has(PUBLIC, part));
    is_secret_url(&upper) || !is_public && parts.iter().any(is_one)
}

fn is_secret_url(upper: &str) -> bool {
    let mut ends = URLS.split_ascii_whitespace();
    ends.any(|end| {
        upper
            .strip_suffix(end)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
    })
}

/// Whether a service makes this secret for itself.
pub fn is_own_key(name: &str) -> bool {
    has(OWN, &name.to_ascii_uppercase())
}

/// Whether a value contains credentials or a private key.
pub fn has_credentials(value: &str) -> bool {
    value.contains("PRIVATE KEY-----")
        || !url::passwords(value).is_empty()
        || Url::cut(value).is_some_and(|url| url.user.is_some())
}

/// Whether a part of a text, between other characters than letters and digits, looks like a random one. Names such as
/// `sha256` have digits only at their end, and at most `longest` bytes.
pub fn looks_secret(text: &str, longest: usize) -> bool {
    let mut parts = text.split(|other: char| !other.is_alphanumeric());
    parts.any(|part| {
        let letters = part.trim_end_matches(char::is_numeric);
        let has_both = part.contains(char::is_numeric) && !letters.is_empty();
        let is_name = part.len() <= longest && !letters.contains(char::is_numeric);
        part.len() > LONGEST_WORD || has_both && !is_name && part.len() > LONGEST_UNIT
    })
}

/// Whether a value of a variable that is no secret is certainly none itself: a number, a usual word, or URLs or e-mail
/// addresses without anything that may be a secret.
pub fn is_showable(value: &str) -> bool {
    let is_number = value.len() <= LONGEST_CODE && value.bytes().all(|byte| byte.is_ascii_digit());
    let is_word = has(WORDS, &value.to_ascii_lowercase());
    let is_address = |part: &str| match Url::cut(part) {
        Some(url) => matches!(url.rest, "" | "/") && url.hosts().is_some(),
        None => EmailAddress::is_valid(part),
    };
    let is_known = is_number || is_word || value.split(',').all(is_address);
    !value.is_empty() && is_known && !has_credentials(value) && !looks_secret(value, LONGEST_CODE)
}

/// Whether a value of a variable that is no secret is a name or a number, such as `localhost` or `app_db`.
pub fn is_plain_word(value: &str) -> bool {
    let is_part = |other: char| other.is_ascii_alphanumeric() || "_.-".contains(other);
    value.chars().all(is_part) && !looks_secret(value, LONGEST_CODE)
}

/// Whether a comment may be shown. The one of a secret must not contain a pair of a name and a value.
pub fn is_showable_comment(comment: &str, is_secret: bool) -> bool {
    let is_sentence = comment.contains(' ') && !comment.contains(char::is_control);
    let is_pair = comment.contains([':', '=', '"', '\'', '`']);
    let is_risky = has_credentials(comment) || looks_secret(comment, LONGEST_CODE);
    is_sentence && !is_risky && (!is_secret || !is_pair)
}
