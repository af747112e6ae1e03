//! Runs the guard as PID 1 of a new PID namespace.

use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};

/// A process that was started here, with its process ID outside the namespace.
pub struct Process(Pid);

/// The reason why this machine does not allow namespaces, or `None` if it does.
pub fn refusal() -> Option<String> {
    let started = start(Path::new("/"), &["/bin/true"], &[], true);
    match started {
        Err(errno) => Some(errno.to_string()),
        Ok(process) => match waitpid(process.0, None) {
            Ok(WaitStatus::Exited(_, 0)) => None,
            other => Some(format!("{other:?}")),
        },
    }
}

/// Starts a program in a folder, with these arguments (its name first) and this environment, as PID 1 of a new
/// namespace with its own /proc, or in this namespace. When this returns, the child has executed the program, so a
/// signal that is sent from now on reaches the program.
pub fn start(
    folder: &Path,
    words: &[&str],
    environment: &[&str],
    is_pid_1: bool,
) -> Result<Process, Errno> {
    let c_string = |text: &[u8]| CString::new(text).expect("no NUL is in it");
    let folder = c_string(folder.as_os_str().as_bytes());
    let words: Vec<CString> = words.iter().map(|word| c_string(word.as_bytes())).collect();
    let environment: Vec<CString> = environment
        .iter()
        .map(|entry| c_string(entry.as_bytes()))
        .collect();
    let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
        texts
            .iter()
            .map(|text| text.as_ptr())
            .chain([std::ptr::null()])
            .collect()
    };
    let (argv, envp) = (pointers(&words), pointers(&environment));
    let (report, report_end) = pipe2(OFlag::O_CLOEXEC)?;
    let flags = if is_pid_1 {
        libc::CLONE_NEWPID | libc::CLONE_NEWNS
    } else {
        0
    };
    // SAFETY: a fork into new namespaces. The child only makes system calls until it calls exec or exits.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) };
    if pid == 0 {
        // SAFETY: every pointer refers to a string or list that was created before the fork.
        unsafe {
            become_program(&folder, &argv, &envp, is_pid_1);
            let errno = Errno::last_raw().to_ne_bytes();
            libc::write(report_end.as_raw_fd(), errno.as_ptr().cast(), errno.len());
            libc::_exit(127);
        }
    }
    let pid = Errno::result(pid)?;
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid fits"));
    drop(report_end);
    let mut errno = [0; 4];
    if nix::unistd::read(&report, &mut errno)? == 0 {
        return Ok(Process(pid));
    }
    let _ = waitpid(pid, None);
    Err(Errno::from_raw(i32::from_ne_bytes(errno)))
}

unsafe fn become_program(
    folder: &CString,
    argv: &[*const libc::c_char],
    envp: &[*const libc::c_char],
    is_pid_1: bool,
) {
    // SAFETY: see the caller.
    unsafe {
        if is_pid_1 {
            let none = std::ptr::null();
            let is_apart = libc::mount(
                none,
                c"/".as_ptr(),
                none,
                libc::MS_REC | libc::MS_PRIVATE,
                none.cast(),
            ) == 0;
            if !is_apart
                || libc::mount(
                    c"proc".as_ptr(),
                    c"/proc".as_ptr(),
                    c"proc".as_ptr(),
                    0,
                    none.cast(),
                ) != 0
            {
                return;
            }
        }
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        for stream in 0..3 {
            libc::dup2(null, stream);
        }
        libc::chdir(folder.as_ptr());
        libc::execve(argv[0], argv.as_ptr(), envp.as_ptr());
    }
}

impl Process {
    pub fn pid(&self) -> i32 {
        self.0.as_raw()
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(self.0, signal).expect("it was not collected yet");
    }

    /// The exit code as a shell reports it, once the process has ended.
    pub fn code(&self) -> Option<i32> {
        match waitpid(self.0, Some(WaitPidFlag::WNOHANG)).expect("it is our child") {
            WaitStatus::Exited(_, code) => Some(code),
            WaitStatus::Signaled(_, signal, _) => Some(128 + signal as i32),
            _ => None,
        }
    }
}
