//! The manifest's `user`: from a name to numbers, by /etc/passwd and /etc/group as they are in the image.
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

/// The home of a user without an entry, or without a home in it.
const NO_HOME: &str = "/";

/// The largest uid or gid that may be written as a number. Container engines refuse larger ones.
const MAX_ID: i64 = i32::MAX as i64;

/// A user, and what its processes get as `USER` and `HOME`.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    pub user: User,
    pub name: String,
    pub home: String,
}

/// Why there is no such user.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error(
        "there is no user `{0}` in {PASSWD}: create it in the image, or write its uid and gid as numbers"
    )]
    UnknownUser(String),
    #[error(
        "there is no group `{0}` in {GROUP}: create it in the image, or write its gid as a number"
    )]
    UnknownGroup(String),
    #[error("`{0}` is no uid or gid: as for container engines, they are from 0 to {MAX_ID}")]
    OutOfRange(String),
    #[error("{file} cannot be read: {cause}")]
    Unreadable {
        file: &'static str,
        cause: io::Error,
    },
}

/// Looks a user up: a name or a uid, with `:` and a group's name or a gid behind it or not. Where no user is
/// written, it is the one that this process is. None when this process is the user already, so that nothing
/// changes.
///
/// # Errors
/// When there is no such user or group, or a file that would tell cannot be read.
pub fn look_up(wanted: &str) -> Result<Option<Account>, UserError> {
    let (passwd, group) = (read(PASSWD)?, read(GROUP)?);
    let account = find(wanted, &passwd, &group, (current_uid(), current_gid()))?;
    Ok(Some(account).filter(|account| !account.user.is_current()))
}

/// An image without the file is one without names.
fn read(file: &'static str) -> Result<String, UserError> {
    let unreadable = |cause| UserError::Unreadable { file, cause };
    match file::read(Path::new(file), MAX_SIZE) {
        // What is missing could make it another user.
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

/// One side of a `user` as it is written.
#[derive(Clone, Copy)]
enum Written<'a> {
    Nothing,
    Id(u32),
    Name(&'a str),
}

impl<'a> Written<'a> {
    /// What is a number is never a name, even if an entry has it as its name.
    fn parse(text: &'a str) -> Result<Self, UserError> {
        if text.is_empty() {
            return Ok(Written::Nothing);
        }
        let out_of_range = || UserError::OutOfRange(text.to_owned());
        match text.parse::<i64>() {
            Ok(number) if number > MAX_ID => Err(out_of_range()),
            Ok(number) => u32::try_from(number)
                .map(Written::Id)
                .map_err(|_| out_of_range()),
            Err(error) => match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => Err(out_of_range()),
                _ => Ok(Written::Name(text)),
            },
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
    // Of several entries the first counts.
    let entry = lines(passwd)
        .filter_map(passwd_entry)
        .find(|entry| match user {
            Written::Nothing => entry.uid == current_uid,
            Written::Id(uid) => entry.uid == uid,
            Written::Name(name) => entry.name == name,
        });
    let uid = match (&entry, user) {
        (Some(entry), _) => entry.uid,
        (None, Written::Nothing) => current_uid,
        (None, Written::Id(uid)) => uid,
        (None, Written::Name(name)) => return Err(UserError::UnknownUser(name.to_owned())),
    };
    let (gid, groups) = match (wanted_group, &entry) {
        // Supplementary groups come with the user alone: a group that is written is the only one.
        (Written::Nothing, Some(entry)) => (entry.gid, groups_of(entry.name, group)),
        (Written::Nothing, None) => (current_gid, Vec::new()),
        (Written::Id(gid), _) => (gid, Vec::new()),
        (Written::Name(name), _) => (gid_of(name, group)?, Vec::new()),
    };
    let home = entry.as_ref().map_or("", |entry| entry.home);
    Ok(Account {
        user: User { uid, gid, groups },
        name: entry
            .as_ref()
            .map_or_else(|| uid.to_string(), |entry| entry.name.to_owned()),
        home: if home.is_empty() { NO_HOME } else { home }.to_owned(),
    })
}

/// The lines of a file without comments, as the C library reads them.
fn lines(content: &str) -> impl Iterator<Item = &str> {
    content
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
}

/// `NAME:PASSWORD:UID:GID:COMMENT:HOME:SHELL`; a line that is something else is passed over.
fn passwd_entry(line: &str) -> Option<Entry<'_>> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    Some(Entry {
        name,
        uid: number(fields.nth(1)?)?,
        gid: number(fields.next()?)?,
        home: fields.nth(1).unwrap_or_default(),
    })
}

/// `NAME:PASSWORD:GID:MEMBER,…`
fn group_entry(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let gid = number(fields.nth(1)?)?;
    Some((name, gid, fields.next().unwrap_or_default()))
}

fn gid_of(wanted: &str, group: &str) -> Result<u32, UserError> {
    let named = lines(group)
        .filter_map(group_entry)
        .find(|(name, _, _)| *name == wanted);
    named
        .map(|(_, gid, _)| gid)
        .ok_or_else(|| UserError::UnknownGroup(wanted.to_owned()))
}

fn groups_of(name: &str, group: &str) -> Vec<u32> {
    lines(group)
        .filter_map(group_entry)
        .filter(|(_, _, members)| members.split(',').any(|member| member == name))
        .map(|(_, gid, _)| gid)
        .collect()
}

/// A uid or gid of an entry. The largest number means "leave it as it is" to the kernel, and is nobody's.
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
    /// What each way to write a user means, or how its refusal begins.
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
