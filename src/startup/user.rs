//! The manifest's `user`: from a name to numbers, by /etc/passwd and /etc/group as they are in the image.
//!
//! Not by the C library's name services: they load libraries of the image, which a static program cannot.
//! What is meant by each form is what container engines take it for.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::os::file;
use crate::os::user::{User, current_gid};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// How much of these files is read, in bytes: a hundred thousand entries.
const MAX_SIZE: usize = 8 * 1024 * 1024;

/// Where a user without an entry is at home.
const NOWHERE: &str = "/";

/// A user, and what its processes should know of it.
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
    #[error("{file} cannot be read: {cause}")]
    Unreadable {
        file: &'static str,
        cause: io::Error,
    },
}

/// Looks a user up: `name`, `uid`, and either with `:group` or `:gid`. None when this process is that user
/// already, so that nothing changes.
///
/// # Errors
/// When there is no such user or group.
pub fn look_up(wanted: &str) -> Result<Option<Account>, UserError> {
    let (passwd, group) = (read(PASSWD)?, read(GROUP)?);
    let account = find(wanted, &passwd, &group, current_gid())?;
    Ok(Some(account).filter(|account| !account.user.is_current()))
}

/// An image without the file is one without names.
fn read(file: &'static str) -> Result<String, UserError> {
    match file::read(Path::new(file), MAX_SIZE) {
        Ok(content) => Ok(String::from_utf8_lossy(&content).into_owned()),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(cause) => Err(UserError::Unreadable { file, cause }),
    }
}

/// A line of /etc/passwd.
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn find(wanted: &str, passwd: &str, group: &str, current_gid: u32) -> Result<Account, UserError> {
    let (user, wanted_group) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted, None),
    };
    let entry = entry(user, passwd);
    let uid = match (&entry, number(user)) {
        (Some(entry), _) => entry.uid,
        (None, Some(uid)) => uid,
        (None, None) => return Err(UserError::UnknownUser(user.to_owned())),
    };
    let name = entry.as_ref().map_or(user, |entry| entry.name);
    // Supplementary groups go with the user alone: who names a group wants that one.
    let (gid, groups) = match wanted_group {
        Some(wanted) => (gid_of(wanted, group)?, Vec::new()),
        None => (
            entry.as_ref().map_or(current_gid, |entry| entry.gid),
            groups_of(name, group),
        ),
    };
    let home = entry.as_ref().map_or("", |entry| entry.home);
    Ok(Account {
        user: User { uid, gid, groups },
        name: name.to_owned(),
        home: if home.is_empty() { NOWHERE } else { home }.to_owned(),
    })
}

/// The entry of a name; where there is none, that of a number.
fn entry<'a>(user: &str, passwd: &'a str) -> Option<Entry<'a>> {
    let entries = || passwd.lines().filter_map(passwd_entry);
    let by_number = || number(user).and_then(|uid| entries().find(|entry| entry.uid == uid));
    entries()
        .find(|entry| entry.name == user)
        .or_else(by_number)
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
    let named = group
        .lines()
        .filter_map(group_entry)
        .find(|(name, _, _)| *name == wanted)
        .map(|(_, gid, _)| gid);
    named
        .or_else(|| number(wanted))
        .ok_or_else(|| UserError::UnknownGroup(wanted.to_owned()))
}

fn groups_of(name: &str, group: &str) -> Vec<u32> {
    let entries = group.lines().filter_map(group_entry);
    entries
        .filter(|(_, _, members)| members.split(',').any(|member| member == name))
        .map(|(_, gid, _)| gid)
        .collect()
}

/// A uid or gid. The largest number means "leave it as it is" to the kernel, and is nobody's.
fn number(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|&number| is_plain && number != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Account, User, find};

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
        # no entry\n\
        app:x:1000:1001:An app:/home/app:/bin/sh\n\
        1002:x:7:7::/srv/seven:\n\
        homeless:x:1003:1003:::\n\
        +nis::::::\n";
    const GROUP: &str =
        "root:x:0:\napp:x:1001:\nlogs:x:4:syslog,app\nweb:x:33:app\nother:x:34:apple\n";

    fn found(wanted: &str) -> Result<Account, String> {
        find(wanted, PASSWD, GROUP, 500).map_err(|error| error.to_string())
    }

    fn account(uid: u32, gid: u32, groups: &[u32], name: &str, home: &str) -> Account {
        Account {
            user: User {
                uid,
                gid,
                groups: groups.to_vec(),
            },
            name: name.to_owned(),
            home: home.to_owned(),
        }
    }

    #[test]
    fn a_user_is_found_by_name_and_by_number_with_its_groups() {
        for wanted in ["app", "1000"] {
            assert_eq!(
                found(wanted),
                Ok(account(1000, 1001, &[4, 33], "app", "/home/app")),
                "{wanted}"
            );
        }
        assert_eq!(found("1002"), Ok(account(7, 7, &[], "1002", "/srv/seven")));
        assert_eq!(
            found("homeless"),
            Ok(account(1003, 1003, &[], "homeless", "/"))
        );
    }

    #[test]
    fn a_group_that_is_named_is_the_only_one() {
        for wanted in ["app:web", "1000:33", "app:33", "1000:web"] {
            assert_eq!(
                found(wanted),
                Ok(account(1000, 33, &[], "app", "/home/app")),
                "{wanted}"
            );
        }
        assert_eq!(
            found("app:77"),
            Ok(account(1000, 77, &[], "app", "/home/app"))
        );
    }

    #[test]
    fn a_number_needs_no_entry() {
        assert_eq!(found("4242"), Ok(account(4242, 500, &[], "4242", "/")));
        assert_eq!(
            found("4242:4243"),
            Ok(account(4242, 4243, &[], "4242", "/"))
        );
    }

    #[test]
    fn what_is_not_there_is_told_by_name() {
        let user = |name| {
            Err(format!(
                "there is no user `{name}` in /etc/passwd: create it in the image, or write its uid and gid as numbers"
            ))
        };
        assert_eq!(found("nobody-here"), user("nobody-here"));
        // The kernel takes these for "no change".
        assert_eq!(found("4294967295"), user("4294967295"));
        assert_eq!(found("-1"), user("-1"));
        assert_eq!(
            found("app:no-group"),
            Err("there is no group `no-group` in /etc/group: create it in the image, or write its gid as a number".to_owned())
        );
        assert!(found("app:4294967295").is_err());
    }
}
