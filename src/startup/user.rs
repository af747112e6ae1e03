//! The manifest's `user`: from a name to numbers, by the image's /etc/passwd and /etc/group.
//!
//! The C library's name services are not used: they load libraries of the image, which a static program cannot.
//! Every form means what it means for gosu and container engines (`GetExecUser` of github.com/moby/sys/user).

use std::io::{self, ErrorKind};
use std::num::IntErrorKind;
use std::path::Path;

use crate::os::file;
use crate::os::user::{User, current_ids};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// How much of these files is read, in bytes: a hundred thousand entries.
const MAX_SIZE: usize = 8 * 1024 * 1024;

/// The home of a user without an entry, and of one whose entry has no home.
const NO_HOME: &str = "/";

/// The largest uid or gid that may be written as a number, as for container engines.
const MAX_ID: i32 = i32::MAX;

/// A user, and what its processes get as `USER` and `HOME`.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    pub user: User,
    pub name: String,
    pub home: String,
}

/// Why there is no such user, as a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UserError(String);

/// Looks a user up: a name or a uid, optionally with `:` and a group's name or a gid behind it. An empty user means
/// this process's own. Returns `None` when this process is the user already, so that nothing changes.
///
/// # Errors
/// When there is no such user or group, or one of the files cannot be read.
pub fn look_up(wanted: &str) -> Result<Option<Account>, UserError> {
    let (passwd, group) = (read(PASSWD)?, read(GROUP)?);
    let account = find(wanted, &passwd, &group, current_ids())?;
    Ok(Some(account).filter(|account| !account.user.is_current()))
}

/// A missing file counts as empty.
fn read(file: &'static str) -> Result<String, UserError> {
    let unreadable = |cause: io::Error| UserError(format!("{file} cannot be read: {cause}"));
    match file::read(Path::new(file), MAX_SIZE) {
        // The entries that were not read could change the result.
        Ok(content) if content.len() > MAX_SIZE => Err(unreadable(ErrorKind::FileTooLarge.into())),
        Ok(content) => Ok(String::from_utf8_lossy(&content).into_owned()),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(cause) => Err(unreadable(cause)),
    }
}

/// A line of /etc/passwd: `NAME:PASSWORD:UID:GID:COMMENT:HOME:SHELL`.
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// One side of a `user`.
#[derive(Clone, Copy)]
enum Written<'a> {
    Id(u32),
    Name(&'a str),
}

impl<'a> Written<'a> {
    /// `None` for an empty text. A number is never a name, even if there is an entry with that name.
    fn parse(text: &'a str) -> Result<Option<Self>, UserError> {
        match text.parse::<i32>() {
            _ if text.is_empty() => Ok(None),
            Ok(id) if id >= 0 => Ok(Some(Written::Id(id.cast_unsigned()))),
            Err(error) if *error.kind() == IntErrorKind::InvalidDigit => {
                Ok(Some(Written::Name(text)))
            }
            Ok(_) | Err(_) => Err(UserError(format!(
                "`{text}` is not a uid or gid: as for container engines, they are from 0 to {MAX_ID}"
            ))),
        }
    }
}

fn find(
    wanted: &str,
    passwd: &str,
    group: &str,
    (current_uid, current_gid): (u32, u32),
) -> Result<Account, UserError> {
    let (user, wanted_group) = wanted.split_once(':').unwrap_or((wanted, ""));
    let (user, wanted_group) = (Written::parse(user)?, Written::parse(wanted_group)?);
    let user = user.unwrap_or(Written::Id(current_uid));
    let mut entries = fields(passwd).filter_map(|[name, _, uid, gid, _, home]| {
        let (uid, gid) = (number(uid)?, number(gid)?);
        Some(Entry {
            name,
            uid,
            gid,
            home,
        })
    });
    // The first of several entries counts.
    let entry = entries.find(|entry| match user {
        Written::Id(uid) => entry.uid == uid,
        Written::Name(name) => entry.name == name,
    });
    let (uid, name, home) = match (&entry, user) {
        (Some(entry), _) => (entry.uid, entry.name.to_owned(), entry.home),
        (None, Written::Id(uid)) => (uid, uid.to_string(), ""),
        (None, Written::Name(name)) => {
            return Err(missing("user", name, PASSWD, "uid and gid as numbers"));
        }
    };
    let (gid, groups) = match (wanted_group, entry) {
        // Supplementary groups come with the user alone: a written group is the only one.
        (None, Some(Entry { name, gid, .. })) => {
            let has_user = |_: &str, members: &str| members.split(',').any(|each| each == name);
            (gid, gids(group, has_user).collect())
        }
        (None, None) => (current_gid, Vec::new()),
        (Some(Written::Id(gid)), _) => (gid, Vec::new()),
        (Some(Written::Name(name)), _) => {
            let gid = gids(group, |each, _| each == name).next();
            let unknown = || missing("group", name, GROUP, "gid as a number");
            (gid.ok_or_else(unknown)?, Vec::new())
        }
    };
    Ok(Account {
        user: User { uid, gid, groups },
        name,
        home: if home.is_empty() { NO_HOME } else { home }.to_owned(),
    })
}

fn missing(kind: &str, name: &str, file: &str, ids: &str) -> UserError {
    UserError(format!(
        "there is no {kind} `{name}` in {file}: create it in the image, or write its {ids}"
    ))
}

/// The fields of each line of a file that is no comment, as the C library reads them. Missing fields are empty.
fn fields(content: &str) -> impl Iterator<Item = [&str; 6]> {
    let lines = content.lines().map(str::trim);
    let lines = lines.filter(|line| !line.starts_with(['#', ':']));
    lines.map(|line| {
        let mut parts = line.split(':');
        [(); 6].map(|()| parts.next().unwrap_or_default())
    })
}

/// The groups of a file for which `is_wanted` accepts the name and the members: `NAME:PASSWORD:GID:MEMBER,…`.
fn gids(group: &str, is_wanted: impl Fn(&str, &str) -> bool) -> impl Iterator<Item = u32> {
    let groups = fields(group).filter(move |[name, _, _, members, ..]| is_wanted(name, members));
    groups.filter_map(|[_, _, gid, ..]| number(gid))
}

/// A uid or gid of an entry. The largest number is invalid: for the kernel it means "leave it as it is".
fn number(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok()?;
    (is_plain && number != u32::MAX).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::find;

    const PASSWD: &str = include_str!("../../tests/init/users/passwd");
    const GROUP: &str = include_str!("../../tests/init/users/group");
    /// What each way to write a user means, or how its error begins.
    const SPECS: &str = include_str!("../../tests/init/users/specs");

    /// What is found, as the table shows it.
    fn found(wanted: &str, passwd: &str, group: &str) -> String {
        match find(wanted, passwd, group, (65534, 65533)) {
            Ok(account) => {
                let mut groups = account.user.groups;
                groups.sort_unstable();
                let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
                let groups = if groups.is_empty() {
                    "-".to_owned()
                } else {
                    groups.join(",")
                };
                let (uid, gid) = (account.user.uid, account.user.gid);
                format!("{uid} {gid} {groups} {} {}", account.home, account.name)
            }
            Err(error) => format!("! {error}"),
        }
    }

    #[test]
    fn every_way_to_write_a_user_means_what_it_does_for_gosu() {
        let rows = SPECS.lines().filter_map(|line| line.strip_prefix('"'));
        let mut count = 0;
        for row in rows {
            let (spec, expected) = row.split_once('"').expect("a quote ends the spec");
            let (found, expected) = (found(spec, PASSWD, GROUP), expected.trim());
            let is_expected = if expected.starts_with('!') {
                found.starts_with(expected)
            } else {
                found == expected
            };
            assert!(is_expected, "{spec:?}: {found}, and not {expected}");
            count += 1;
        }
        assert!(count > 60, "{count} rows");
    }

    #[test]
    fn without_the_files_numbers_alone_are_users_and_groups() {
        for (spec, expected) in [
            ("", "65534 65533 - / 65534"),
            ("0", "0 65533 - / 0"),
            ("0:0", "0 0 - / 0"),
            (":0", "65534 0 - / 65534"),
        ] {
            assert_eq!(found(spec, "", ""), expected, "{spec:?}");
        }
        assert_eq!(
            found("root", "", ""),
            "! there is no user `root` in /etc/passwd: create it in the image, or write its uid and gid as numbers"
        );
        assert_eq!(
            found("0:root", "", ""),
            "! there is no group `root` in /etc/group: create it in the image, or write its gid as a number"
        );
    }
}
