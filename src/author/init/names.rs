//! What the name or the text of a value tells about secrets.

use crate::rule::placeholder;
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

/// The longest part of a text, between other characters than letters and digits, that is taken for a word, in bytes.
const LONGEST_WORD: usize = 20;

/// The longest part with letters and digits that is taken for a name, such as `sha256`, in bytes.
const LONGEST_CODE: usize = 6;

/// The longest value that is shown, in bytes.
const LONGEST_SHOWN: usize = 60;

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

/// Whether a part of a text looks like a random one: it is longer than `limit` bytes and mixes letters and digits, or it
/// is longer than a word.
pub fn looks_secret(text: &str, limit: usize) -> bool {
    parts(text).any(|part| {
        let has_digit = part.contains(char::is_numeric);
        let has_letter = part.contains(char::is_alphabetic);
        part.len() > LONGEST_WORD || part.len() > limit && has_digit && has_letter
    })
}

/// The parts of a text between other characters than letters and digits.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(|other: char| !other.is_alphanumeric())
}

/// Whether a value of a variable that is no secret may be shown: it is short and consists of plain words and numbers.
pub fn is_showable(value: &str) -> bool {
    let is_url = value.contains("://");
    let is_long = value.len() > LONGEST_SHOWN || is_url && value.contains(['?', '#']);
    let is_blank = value.trim().is_empty() || value.trim() != value;
    // Random letters are of both cases.
    let is_random = |part: &str| {
        let rest = part.strip_prefix(char::is_uppercase).unwrap_or(part);
        part.len() > LONGEST_CODE
            && rest.contains(char::is_uppercase)
            && rest.contains(char::is_lowercase)
    };
    let is_secret = has_credentials(value)
        || looks_secret(value, LONGEST_CODE)
        || parts(value).any(is_random)
        || placeholder(value).is_some();
    !is_long && !is_blank && !is_secret && !value.contains(char::is_control)
}

/// Whether a comment may be shown. The one of a secret may say what it is, so it must not contain a pair.
pub fn is_showable_comment(comment: &str, is_secret: bool) -> bool {
    let is_pair = comment.contains([':', '=', '"', '\'', '`']);
    let is_risky = comment.contains(char::is_control) || has_credentials(comment);
    !is_risky && !looks_secret(comment, LONGEST_CODE) && (!is_secret || !is_pair)
}
