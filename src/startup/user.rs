//! Looks up the manifest's `user` in the image's /etc/passwd and /etc/group.
//!
//! The C library's name service switch is not used, because it loads shared libraries of the image, which a static
//! program cannot do. Every form of a user has the same meaning as for gosu and container engines (`GetExecUser` of
//! github.com/moby/sys/user).

use std::io::{self, ErrorKind};
use std::num::IntErrorKind;
use std::path::Path;

use crate::os::file;
use crate::os::user::{User, current_ids};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// The maximum size of these files, in bytes. It is enough for a hundred thousand entries.
const MAX_SIZE: usize = 8 * 1024 * 1024;

/// The home of a user whose entry has none or who has no entry.
const NO_HOME: &str = "/";

/// The largest uid or gid in the manifest, as for container engines.
const MAX_ID: i32 = i32::MAX;

/// A user, and the values of `USER` and `HOME` for its processes.
pub struct Account {
    pub user: User,
    pub name: String,
    pub home: String,
}

/// Why the user cannot be looked up, as a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UserError(String);

/// Looks up a user: a name or a uid, optionally followed by `:` and a group's name or a gid. An empty user means the
/// user of this process. Returns `None` if this process already runs as that user, so that nothing changes.
///
/// # Errors
/// If there is no such user or group, or one of the files cannot be read.
pub fn look_up(wanted: &str) -> Result<Option<Account>, UserError> {
    let (passwd, group) = (read(PASSWD)?, read(GROUP)?);
    let account = find(wanted, &passwd, &group, current_ids())?;
    Ok(Some(account).filter(|account| !account.user.is_current()))
}

/// Reads one of the two files. A missing file counts as empty.
fn read(file: &'static str) -> Result<String, UserError> {
    let unreadable = |cause: io::Error| UserError(format!("{file} cannot be read: {cause}"));
    match file::read(Path::new(file), MAX_SIZE) {
        // The file was not read completely, and the rest could change the result.
        Ok(content) if content.len() > MAX_SIZE => Err(unreadable(ErrorKind::FileTooLarge.into())),
        Ok(content) => Ok(String::from_utf8_lossy(&content).into_owned()),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(cause) => Err(unreadable(cause)),
    }
}

/// Parses a uid or gid in the manifest. Returns `None` for a name and for an empty text. A number is always an ID, even
/// if there is an entry with that name.
fn id(text: &str) -> Result<Option<u32>, UserError> {
    let of_names = [IntErrorKind::InvalidDigit, IntErrorKind::Empty];
    match text.parse::<i32>() {
        Ok(id) if id >= 0 => Ok(Some(id.cast_unsigned())),
        Err(error) if of_names.contains(error.kind()) => Ok(None),
        Ok(_) | Err(_) => Err(UserError(format!(
            "`{text}` is not a uid or gid: these are from 0 to {MAX_ID}, as for container engines"
        ))),
    }
}

fn find(
    wanted: &str,
    passwd: &str,
    group: &str,
    (current_uid, current_gid): (u32, u32),
) -> Result<Account, UserError> {
    let (user, wanted_group) = wanted.split_once(':').unwrap_or((wanted, ""));
    let (wanted_uid, wanted_gid) = (id(user)?, id(wanted_group)?);
    let wanted_uid = wanted_uid.or(user.is_empty().then_some(current_uid));
    // `NAME:PASSWORD:UID:GID:COMMENT:HOME:SHELL`
    let mut entries = fields(passwd)
        .filter_map(|[name, _, uid, gid, _, home]| Some((name, number(uid)?, number(gid)?, home)));
    // The first matching entry counts.
    let entry = entries.find(|(name, uid, ..)| wanted_uid.map_or(*name == user, |id| *uid == id));
    let (uid, name, home) = match (entry, wanted_uid) {
        (Some((name, uid, _, home)), _) => (uid, name.to_owned(), home),
        (None, Some(uid)) => (uid, uid.to_string(), ""),
        (None, None) => return Err(missing("user", user, PASSWD, "uid and gid as numbers")),
    };
    let named = || gids(group, |each, _| each == wanted_group).next();
    let (gid, groups) = match entry {
        // Only a user without a group in the manifest gets the supplementary groups of /etc/group.
        Some((name, _, gid, _)) if wanted_group.is_empty() => {
            let has_user = |_: &str, members: &str| members.split(',').any(|each| each == name);
            (gid, gids(group, has_user).collect())
        }
        None if wanted_group.is_empty() => (current_gid, Vec::new()),
        _ => {
            let unknown = || missing("group", wanted_group, GROUP, "gid as a number");
            (wanted_gid.or_else(named).ok_or_else(unknown)?, Vec::new())
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

/// The fields of each line that is not a comment, as the C library reads them. Missing fields are empty.
fn fields(content: &str) -> impl Iterator<Item = [&str; 6]> {
    let lines = content.lines().map(str::trim);
    let lines = lines.filter(|line| !line.starts_with(['#', ':']));
    lines.map(|line| {
        let mut parts = line.split(':');
        [(); 6].map(|()| parts.next().unwrap_or_default())
    })
}

/// The gids of the groups (`NAME:PASSWORD:GID:MEMBER,…`) for which `is_wanted` returns true, called with their name and
/// their members.
fn gids(group: &str, is_wanted: impl Fn(&str, &str) -> bool) -> impl Iterator<Item = u32> {
    let groups = fields(group).filter(move |[name, _, _, members, ..]| is_wanted(name, members));
    groups.filter_map(|[_, _, gid, ..]| number(gid))
}

/// Parses a uid or gid of an entry. The largest 32-bit number is invalid: in system calls it means "do not change".
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
    /// The expected result for each form of a user, or the beginning of the error.
    const SPECS: &str = include_str!("../../tests/init/users/specs");

    /// The result, in the format of the table.
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
    fn every_form_of_a_user_means_the_same_as_for_gosu() {
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
    fn without_the_files_only_numbers_are_valid_users_and_groups() {
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
