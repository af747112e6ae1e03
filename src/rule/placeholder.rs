//! Recognises placeholders: texts that stand for a value that is not set yet.

use super::strip_wrapping;
use crate::url::Url;

/// The minimum length of a value of one repeated character, such as `xxxxxxxx`, that counts as a placeholder.
const REPETITIONS: usize = 8;

/// The delimiters around a placeholder, in pairs. The text inside is not restricted to a name.
const GAPS: &str = "{{ }} ${ } < >";

/// The delimiters around a name that a deployment tool should have replaced, in pairs.
const NAME_GAPS: &str = "{ } $( ) #{ }# #{ } __ __ % % @@ @@ (( )) [[ ]]";

/// What programs write for a value that is not there, separated by `|`.
const NOTHING: &str = "undefined|null|NULL|(null)|None|nil|[object Object]|[object Undefined]|%!s(<nil>)|%!v(<nil>)|...|N/A|n/a";

/// The beginnings of references that a secret store's own tools replace, separated by spaces.
const STORES: &str = "op:// pass:// keeper:// vault:// ref+ @Microsoft.KeyVault( gcp:secretmanager: sm:// ssm:/ secret:// \
    keyvault:// akv:// secretref: encrypted: ENC[AES256_GCM, $ANSIBLE_VAULT; !vault";

/// The programs that replace such references, separated by spaces.
const RUNNERS: &str = "op pass-cli ksm vault-env bao-env bao vault envconsul vals berglas doppler infisical chamber \
    summon teller dotenvx sops akeyless bws aws-vault secrets-init";

/// Values that examples and frameworks ship, without separators.
const WORDS: &str = "changeme changethis replaceme replacethis todo fixme tbd tba placeholder fillme pleasechangeme \
    tobechanged redacted keyboardcat somerandomstring thistokenisnotsosecretchangeit \
    changethismercurehubjwtsecretkey astringsecretatleast256bitslong";

/// Words inside a longer value that only an example has, between characters other than letters and digits.
const PHRASES: &str = "_changeme_ _change_me_ _changethis_ _change_this_ _replaceme_ _replace_me_ _replacethis_ \
    _replace_this_ _replace_with_ _placeholder_ _change_in_prod_ _change_in_production_ _django_insecure_ _your_super_secret_";

/// What examples and masked copies contain in place of letters and digits, and a secret in the documentation of `FastAPI`.
const FILLERS: &str =
    "xxxxxxxx XXXXXXXX ******** 09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7";

/// The last words of an example that contains the word `your`, or begins with `example`.
const ENDS: &str = "here key keys secret token password passphrase id dsn string value";

/// The first words of an example that ends with `here`.
const ORDERS: &str = "insert enter paste put add set fill";

/// The reason why a text is probably not the value itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// A reference or a gap that nothing has filled.
    Unfilled,
    /// A reference that the tool of a secret store replaces.
    Stored,
    /// The name of a stored secret, such as a path, with which some programs request the secret themselves.
    Named,
    /// What a program or a deployment tool left in place of the value.
    Unrendered,
    /// Nothing but the comment of an env file.
    Comment,
    /// A text of an example. It can be meant if it is not a secret: a database may be called `todo`.
    Example,
}

impl Placeholder {
    /// What is wrong: the predicate of a sentence whose subject is the variable.
    pub const fn problem(self) -> &'static str {
        match self {
            Placeholder::Unfilled | Placeholder::Example => "still holds a placeholder",
            Placeholder::Unrendered => "holds what a template leaves in place of a value",
            Placeholder::Stored => "holds a reference to a secret store instead of the secret",
            Placeholder::Named => "holds the name of a stored secret instead of the secret",
            Placeholder::Comment => "holds only a comment, probably of an env file",
        }
    }
}

/// Whether a value is, or resembles, a placeholder: an unresolved reference of a platform (`${{…}}`) anywhere in it, a
/// gap such as `<password>`, a reference to a secret store, one repeated character, a text such as `change-me`, or
/// nothing but a comment.
pub fn placeholder(value: &str) -> Option<Placeholder> {
    let whole = strip_wrapping(value);
    let begins_with = |list: &str| list.split(' ').any(|known| whole.starts_with(known));
    let of_vault = whole.strip_prefix("vault:").or(whole.strip_prefix("bao:"));
    let is_of_vault = |path: &str| path.contains('/') && path.starts_with(char::is_alphabetic);
    let url = Url::cut(whole.strip_prefix("jdbc:").unwrap_or(whole));
    if is_unfilled(whole) {
        Some(Placeholder::Unfilled)
    } else if let Some(found) = url.and_then(|url| placeholder_in(&url)) {
        Some(found)
    } else if begins_with(STORES) || of_vault.is_some_and(is_of_vault) {
        Some(Placeholder::Stored)
    } else if begins_with("arn:aws /run/secrets/")
        || begins_with("projects/") && whole.contains("/secrets/")
    {
        Some(Placeholder::Named)
    } else if NOTHING.split('|').any(|text| text == whole)
        || is_inside(whole, NAME_GAPS, is_name)
        // A command that was to be run, not pasted.
        || whole.contains("openssl rand ")
        || whole.contains("/dev/urandom")
    {
        Some(Placeholder::Unrendered)
    } else if whole.starts_with("# ") {
        Some(Placeholder::Comment)
    } else {
        is_example(whole).then_some(Placeholder::Example)
    }
}

/// Whether a word of a command is a program that replaces references to a secret store.
pub fn is_runner(word: &str) -> bool {
    let is_known = |name: &str| RUNNERS.split(' ').any(|known| known == name);
    let mut parts = word.split_whitespace();
    parts.any(|part| part.rsplit('/').next().is_some_and(is_known))
}

/// The placeholder in the credentials or the host of a URL.
fn placeholder_in(url: &Url<'_>) -> Option<Placeholder> {
    let password = url.password.and_then(placeholder);
    // Symfony's mailer that sends nothing is `null://null`.
    let hosts = url.authority.split([',', ':']);
    let hosts = hosts.filter(|host| *host != url.scheme);
    let parts = url.user.into_iter().chain(hosts);
    let mut found = parts.filter_map(placeholder);
    let left = [Placeholder::Unfilled, Placeholder::Unrendered];
    password.or_else(|| found.find(|found| left.contains(found)))
}

fn is_unfilled(whole: &str) -> bool {
    let reference = whole.split_once("${{");
    let is_reference = reference.is_some_and(|(_, rest)| rest.contains("}}"));
    // `<a@b>` is a mailbox, and `${A}${B}` is composed.
    let is_text = |inside: &str| !inside.contains(['@', '{', '}', '<', '>']);
    let is_gap = is_inside(whole, GAPS, is_text);
    // A shorter one can be the beginning of a password.
    let name = whole.strip_prefix('$').filter(|name| name.contains('_'));
    let is_shell = name.is_some_and(|name| is_name(name) && *name == name.to_uppercase());
    is_reference || is_gap || is_shell
}

/// Whether a text consists of a pair of delimiters and, inside, what is admitted there.
fn is_inside(whole: &str, pairs: &str, is_admitted: impl Fn(&str) -> bool) -> bool {
    let pairs: Vec<&str> = pairs.split(' ').collect();
    let inside = |pair: &[&str]| whole.strip_prefix(pair[0])?.strip_suffix(pair[1]);
    pairs.chunks_exact(2).filter_map(inside).any(is_admitted)
}

fn is_name(text: &str) -> bool {
    let is_part = |other: char| other.is_ascii_alphanumeric() || "_-.".contains(other);
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.chars().all(is_part)
}

fn is_example(whole: &str) -> bool {
    // A number at the end of a word does not make another word.
    let plain = |other: char| match other {
        '-' | '_' | '0'..='9' => '_',
        _ if other.is_alphabetic() => other,
        _ => ' ',
    };
    let lower = whole.to_lowercase();
    let together = lower.replace(|other: char| !other.is_alphanumeric(), "");
    let text: String = lower.chars().map(plain).collect();
    let words = text.split([' ', '_']).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    let last = words.last().copied().unwrap_or_default();
    let has = |list: &str, word: &str| list.split(' ').any(|known| known == word);
    let repeated = whole.chars().next();
    let is_repeated = whole.chars().all(|other| Some(other) == repeated);
    let has_phrase = |part: &str| {
        let part = format!("_{part}_");
        PHRASES.split(' ').any(|phrase| part.contains(phrase))
    };
    // Several words with spaces between them can be a passphrase.
    let is_joined = !whole.contains(' ');
    let is_asked = match words.as_slice() {
        words if words.contains(&"your") => is_joined || last == "here",
        ["example", ..] => is_joined,
        [.., what, "here"] if has(ENDS, what) => is_joined,
        [order, .., "here"] => is_joined && has(ORDERS, order),
        _ => false,
    };
    is_repeated && whole.chars().count() >= REPETITIONS
        || FILLERS.split(' ').any(|filler| whole.contains(filler))
        || whole.trim_end_matches("...").ends_with(['-', '_']) && whole.ends_with("...")
        || has(WORDS, &together)
        || is_asked && has(ENDS, last)
        || text.split(' ').any(has_phrase)
}
