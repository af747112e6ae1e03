//! The manifest's `user`: from a name to numbers, by the image's /etc/passwd and /etc/group.
//!
//! The C library's name services are not used: they load libraries of the image, which a static program cannot.
//! Every form means what it means for gosu and container engines (`GetExecUser` of github.com/moby/sys/user).

use std::io::{self, ErrorKind};
use std::num::IntErrorKind;
use std::path::Path;

use crate::os::file;
use crate::os::user::{User, current_gid, current_uid};

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
    let account = find(wanted, &passwd, &group, (current_uid(), current_gid()))?;
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

/// A line of /etc/passwd.
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// One side of a `user`.
#[derive(Clone, Copy)]
enum Written<'a> {
    Nothing,
    Id(u32),
    Name(&'a str),
}

impl<'a> Written<'a> {
    /// A number is never a name, even if there is an entry with that name.
    fn parse(text: &'a str) -> Result<Self, UserError> {
        match text.parse::<i32>() {
            _ if text.is_empty() => Ok(Written::Nothing),
            Ok(id) if id >= 0 => Ok(Written::Id(id.cast_unsigned())),
            Err(error) if *error.kind() == IntErrorKind::InvalidDigit => Ok(Written::Name(text)),
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
    // The first of several entries counts.
    let entry = entries(passwd)
        .filter_map(|fields| passwd_entry(&fields))
        .find(|entry| match user {
            Written::Nothing => entry.uid == current_uid,
            Written::Id(uid) => entry.uid == uid,
            Written::Name(name) => entry.name == name,
        });
    let uid = match (&entry, user) {
        (Some(entry), _) => entry.uid,
        (None, Written::Nothing) => current_uid,
        (None, Written::Id(uid)) => uid,
        (None, Written::Name(name)) => {
            return Err(UserError(format!(
                "there is no user `{name}` in {PASSWD}: create it in the image, or write its uid and gid as numbers"
            )));
        }
    };
    let (gid, groups) = match (wanted_group, &entry) {
        // Supplementary groups come with the user alone: a written group is the only one.
        (Written::Nothing, Some(entry)) => {
            let has_user =
                |_: &str, members: &str| members.split(',').any(|each| each == entry.name);
            (entry.gid, gids(group, has_user).collect())
        }
        (Written::Nothing, None) => (current_gid, Vec::new()),
        (Written::Id(gid), _) => (gid, Vec::new()),
        (Written::Name(name), _) => {
            let gid = gids(group, |each, _| each == name).next();
            let unknown = || {
                UserError(format!(
                    "there is no group `{name}` in {GROUP}: create it in the image, or write its gid as a number"
                ))
            };
            (gid.ok_or_else(unknown)?, Vec::new())
        }
    };
    let (name, home) = match entry {
        Some(Entry { name, home, .. }) => (name.to_owned(), home),
        None => (uid.to_string(), ""),
    };
    Ok(Account {
        user: User { uid, gid, groups },
        name,
        home: if home.is_empty() { NO_HOME } else { home }.to_owned(),
    })
}

/// The lines of a file without comments, as the C library reads them, each split at its colons.
fn entries(content: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = content.lines().map(str::trim);
    lines
        .filter(|line| !line.starts_with(['#', ':']))
        .map(|line| line.split(':').collect())
}

/// `NAME:PASSWORD:UID:GID:COMMENT:HOME:SHELL`; `None` for another line.
fn passwd_entry<'a>(fields: &[&'a str]) -> Option<Entry<'a>> {
    let [name, _, uid, gid, ..] = *fields else {
        return None;
    };
    Some(Entry {
        name,
        uid: number(uid)?,
        gid: number(gid)?,
        home: fields.get(5).copied().unwrap_or_default(),
    })
}

/// The groups of a file for which `is_wanted` accepts the name and the members: `NAME:PASSWORD:GID:MEMBER,…`.
fn gids(group: &str, is_wanted: impl Fn(&str, &str) -> bool) -> impl Iterator<Item = u32> {
    entries(group).filter_map(move |fields| {
        let [name, _, gid, ..] = fields[..] else {
            return None;
        };
        let members = fields.get(3).copied().unwrap_or_default();
        number(gid).filter(|_| is_wanted(name, members))
    })
}

/// A uid or gid of an entry. The largest number is invalid: for the kernel it means "leave it as it is".
fn number(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|&number| is_plain && number != u32::MAX)
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
