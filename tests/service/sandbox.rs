//! The service unit, and the binary under as much of it as there is here.
//!
//! No systemd runs where tests do, so the parts of the unit that matter are built from other tools, out of what the unit
//! says: `strace` answers every system call outside `SystemCallFilter=` with EPERM, as the kernel would; `unshare` makes
//! the file system read-only but for one folder; `setpriv` takes away root, capabilities and the way back to them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::client::{PATIENCE, eventually, github_signature};
use crate::daemon::{Daemon, Home};

const SECRET: &str = "It's a Secret to Everybody";
const EVENTS: usize = 20;
/// The user under which the daemon runs where tests run as root.
const NOBODY: u32 = 65534;

fn systemd(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

fn tool(name: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    assert!(there, "this test needs `{name}`; `.ci/tools` installs it");
    Command::new(name)
}

/// What a tool writes to standard output, and to standard error.
fn said(command: &mut Command) -> (bool, String, String) {
    let output = command.output().expect("the tool runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// The values of a key of the service unit, in order.
fn settings(key: &str) -> Vec<String> {
    let unit = fs::read_to_string(systemd("forebay.service")).expect("the unit");
    let values = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let values: Vec<_> = values.map(str::to_owned).collect();
    assert!(!values.is_empty(), "the unit has no `{key}`");
    values
}

#[test]
fn the_unit_exposes_little() {
    let mut command = tool("systemd-analyze");
    command.args(["security", "--offline=true", "--threshold=15", "--no-pager"]).arg(systemd("forebay.service"));
    let (good, out, err) = said(&mut command);
    assert!(good && out.contains("Overall exposure level"), "more than 1.5:\n{out}{err}");
}

#[test]
fn systemd_reads_the_units_without_a_complaint() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["forebay.service", "forebay.socket"] {
        let unit = fs::read_to_string(systemd(name)).expect(name);
        // It is not installed here, and a command that is not there would be complained about.
        fs::write(folder.path().join(name), unit.replace("/usr/local/bin/forebay", env!("CARGO_BIN_EXE_forebay")))
            .expect("written");
    }
    let units = ["forebay.service", "forebay.socket"].map(|name| folder.path().join(name));
    let (good, out, err) = said(tool("systemd-analyze").args(["verify", "--man=no"]).args(units));
    assert!(good && out.is_empty() && err.is_empty(), "{out}{err}");
}

/// The commands of the unit are commands of the program, and what they name is where the program looks.
#[test]
fn the_unit_calls_the_program_as_it_is() {
    for line in ["ExecStart", "ExecReload"].iter().flat_map(|key| settings(key)) {
        let words: Vec<_> = line.split(' ').collect();
        let ["/usr/local/bin/forebay", "-c", file, command] = words[..] else {
            assert_eq!(words[..2], ["/bin/kill", "-HUP"]);
            continue;
        };
        assert_eq!(file, "/etc/forebay/forebay.toml");
        let (good, ..) = said(Command::new(env!("CARGO_BIN_EXE_forebay")).args([command, "--help"]));
        assert!(good, "there is no command `{command}`");
    }
}

/// A system call, or a group of them and of other groups.
fn expand<'a>(name: &'a str, groups: &BTreeMap<&str, Vec<&'a str>>, into: &mut BTreeSet<&'a str>) {
    if name.starts_with('@') {
        let members = groups.get(name).unwrap_or_else(|| panic!("systemd knows no group `{name}`"));
        for member in members {
            expand(member, groups, into);
        }
    } else {
        into.insert(name);
    }
}

/// Every system call the unit lets through.
fn allowed_calls() -> BTreeSet<String> {
    let (good, out, err) = said(tool("systemd-analyze").args(["syscall-filter", "--no-pager"]));
    assert!(good, "{err}");
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut group = None;
    for line in out.lines() {
        match line.strip_prefix("    ") {
            None => group = Some(line).filter(|line| line.starts_with('@')),
            Some(call) if !call.starts_with('#') => groups.entry(group.unwrap_or_default()).or_default().push(call),
            Some(_) => {}
        }
    }
    let lines = settings("SystemCallFilter");
    let mut allowed = BTreeSet::new();
    for line in &lines {
        let (without, names) = line.strip_prefix('~').map_or((false, line.as_str()), |rest| (true, rest));
        let mut calls = BTreeSet::new();
        for name in names.split(' ') {
            expand(name, &groups, &mut calls);
        }
        if without {
            allowed.retain(|call| !calls.contains(call));
        } else {
            allowed.extend(calls);
        }
    }
    assert!(allowed.contains("fdatasync") && !allowed.contains("chroot"), "a filter that filters");
    allowed.into_iter().map(str::to_owned).collect()
}

/// Runs a command as the unit would; `home` is the only folder it can write to.
fn confined(home: &Path, allowed: &BTreeSet<String>, trace: &Path) -> Command {
    let calls = allowed.iter().map(|call| format!("?{call}")).collect::<Vec<_>>().join(",");
    let mut inner: Vec<String> = Vec::new();
    let root = geteuid().is_root();
    tool("setpriv");
    inner.extend(["setpriv", "--no-new-privs"].map(str::to_owned));
    if root {
        inner.push(format!("--reuid={NOBODY}"));
        inner.push(format!("--regid={NOBODY}"));
        inner.extend(["--clear-groups", "--bounding-set=-all", "--inh-caps=-all"].map(str::to_owned));
    }
    tool("strace");
    inner.extend(["strace", "-f", "-qq", "-e", "signal=none", "-e", "trace=all", "-o"].map(str::to_owned));
    inner.push(trace.to_str().expect("UTF-8").to_owned());
    inner.extend(["-e".to_owned(), format!("inject=!{calls}:error=EPERM")]);
    if !(root && tool("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success())) {
        eprintln!("no mount namespaces here: the file system stays writable");
        let mut command = Command::new(&inner[0]);
        command.args(&inner[1..]);
        return command;
    }
    let mut command = tool("unshare");
    let home = fs::canonicalize(home).expect("it exists");
    let script = r#"
        home=$0
        mount --bind "$home" "$home" || exit 97
        while read -r _ _ _ _ where _; do
            case $where in
                /proc|/proc/*|/sys|/sys/*|/dev|/dev/*|"$home") ;;
                *) mount -o remount,bind,ro "$where" 2>/dev/null ;;
            esac
        done </proc/self/mountinfo
        for folder in /etc /usr "$home/.."; do
            if touch "$folder/.forebay-test" 2>/dev/null; then rm "$folder/.forebay-test"; exit 98; fi
        done
        exec "$@"
    "#;
    command.args(["--mount", "sh", "-c", script]).arg(home).args(inner);
    command
}

/// Answers every webhook with 204, and tells which event it was.
fn receiver() -> (u16, Receiver<String>) {
    fn one(stream: TcpStream, tell: &Sender<String>) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let (mut id, mut length) = (None, 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            match line.trim_end().split_once(": ") {
                Some(("forebay-event-id", value)) => id = Some(value.to_owned()),
                Some(("content-length", value)) => length = value.parse().ok()?,
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        reader.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").ok()?;
        tell.send(id?).ok()
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            // A connection that breaks off is an event that is not told.
            std::thread::spawn(move || one(stream, &tell));
        }
    });
    (port, told)
}

/// A home that belongs to the user the daemon will be, with the binary and the credentials in it.
fn home(port: u16) -> Home {
    let mut home = Home::new(
        "",
        &format!(
            r#"
[topics.github]
validator = {{ type = "github", secret = {{ credential = "github" }} }}
[subscribers.console]
topics = ["*"]
sink = {{ type = "stdout" }}
[subscribers.archive]
topics = ["*"]
sink = {{ type = "file", path = "archive/{{topic}}.ndjson", rotate = {{ size = "1 KiB", keep = 100 }} }}
[subscribers.hook]
topics = ["*"]
sink = {{ type = "webhook", url = "http://localhost:{port}/" }}
"#
        ),
    );
    let credentials = home.path("credentials");
    fs::create_dir(&credentials).expect("a folder");
    fs::write(credentials.join("github"), SECRET).expect("a credential");
    fs::set_permissions(credentials.join("github"), fs::Permissions::from_mode(0o400)).expect("its mode");
    // The one in `target` may be where nobody else can read it.
    fs::copy(env!("CARGO_BIN_EXE_forebay"), home.path("binary")).expect("a copy");
    if geteuid().is_root() {
        for name in ["", "forebay.toml", "binary", "credentials", "credentials/github"] {
            chown(home.path(name), Some(NOBODY), Some(NOBODY)).expect("given away");
        }
    }
    home.env.push(("CREDENTIALS_DIRECTORY".into(), credentials.to_str().expect("UTF-8").into()));
    home
}

/// Ends the daemon with the test: the process that is ours is the one that traces it.
struct Traced(Pid);

impl Drop for Traced {
    fn drop(&mut self) {
        // It has ended already, or the test has failed.
        let _ = kill_process(self.0, Signal::KILL);
    }
}

fn push(daemon: &Daemon, number: usize) -> String {
    let body = format!(r#"{{"ref":"refs/heads/main","number":{number}}}"#);
    let signature = github_signature(SECRET, body.as_bytes());
    let headers =
        [("content-type", "application/json"), ("x-github-event", "push"), ("x-hub-signature-256", signature.as_str())];
    let answer = daemon.post("github", &headers, body.as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.header("forebay-event-id").expect("an id").to_owned()
}

fn archived(home: &Home) -> String {
    let files = fs::read_dir(home.path("archive")).into_iter().flatten().map_while(Result::ok);
    files.map(|file| fs::read_to_string(file.path()).unwrap_or_default()).collect()
}

#[test]
fn the_daemon_does_all_its_work_inside_the_sandbox() {
    let allowed = allowed_calls();
    let (port, told) = receiver();
    let home = home(port);
    let trace = home.path("trace");
    let mut command = confined(&home.path(""), &allowed, &trace);
    command.envs(home.env.iter().map(|(name, value)| (name, value)));
    command.arg(home.path("binary")).arg("-c").arg(home.path("forebay.toml")).arg("serve");
    let mut daemon = Daemon::spawn(command);
    let first = fs::read_to_string(&trace).expect("a trace");
    let pid = first.split(' ').next().and_then(|pid| Pid::from_raw(pid.parse().ok()?)).expect("a process id");
    let traced = Traced(pid);

    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).expect("it runs");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no `{name}`")).trim().to_owned()
    };
    assert_eq!(field("NoNewPrivs"), "1");
    assert!(!field("Uid").split('\t').any(|uid| uid == "0"), "not root");
    if geteuid().is_root() {
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(field(set), "0000000000000000", "{set}");
        }
    }

    let mut sent: Vec<String> = (0..EVENTS).map(|number| push(&daemon, number)).collect();
    kill_process(pid, Signal::HUP).expect("it runs");
    sent.push(push(&daemon, EVENTS));
    let mut hooked: Vec<String> = sent.iter().map(|_| told.recv_timeout(PATIENCE).expect("a webhook")).collect();
    hooked.sort();
    sent.sort();
    assert_eq!(hooked, sent);
    eventually("every event is in the archive", || {
        let text = archived(&home);
        sent.iter().all(|id| text.contains(id.as_str())).then_some(())
    });
    assert!(home.path("archive/github.ndjson.1").exists(), "the archive was rotated");
    eventually("every event is printed", || (daemon.out().len() == sent.len()).then_some(()));
    assert_eq!(daemon.admin("/readyz").status, 200);

    kill_process(pid, Signal::TERM).expect("it runs");
    let status = daemon.wait();
    drop(traced);
    assert_eq!(status.code(), Some(0), "{}", daemon.log().join("\n"));
    judge(&fs::read_to_string(&trace).expect("a trace"), &allowed);
}

/// Looks at every system call the daemon made.
fn judge(trace: &str, allowed: &BTreeSet<String>) {
    let families: Vec<String> = settings("RestrictAddressFamilies").iter().flat_map(|l| words(l)).collect();
    let mut used = BTreeSet::new();
    for line in trace.lines() {
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        let Some((name, arguments)) = call.split_once('(') else { continue };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        used.insert(name);
        assert!(allowed.contains(name), "the unit does not allow: {line}");
        // `MemoryDenyWriteExecute=`: nothing is ever both, and nothing becomes executable.
        let executable = arguments.contains("PROT_EXEC");
        let writable = arguments.contains("PROT_WRITE");
        let denied = match name {
            "mmap" => executable && writable,
            "mprotect" | "pkey_mprotect" => executable,
            _ => false,
        };
        assert!(!denied, "memory would be writable and executable: {line}");
        // `getaddrinfo` of glibc asks over netlink which addresses this machine has, and without an answer takes it to
        // have both kinds.
        if let Some(family) = arguments.strip_prefix("AF_").filter(|_| name == "socket") {
            let family = format!("AF_{}", family.split(',').next().unwrap_or_default());
            assert!(family == "AF_NETLINK" || families.contains(&family), "the unit does not allow: {line}");
        }
    }
    // It was really watched while it worked.
    for call in ["accept4", "connect", "fallocate", "fdatasync", "fsync", "flock", "pwritev", "clone3", "exit_group"] {
        assert!(used.contains(call), "never called `{call}`: {used:?}");
    }
    // The name that was looked up stood in a file; these are what a name server would be asked with.
    for call in ["socket", "connect", "sendmmsg", "sendto", "recvfrom", "recvmsg", "poll", "bind", "getsockname"] {
        assert!(allowed.contains(call), "the unit does not allow `{call}`");
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

/// The sandbox of these tests keeps things out: without this, the test above could pass for want of one.
#[test]
fn the_sandbox_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    if geteuid().is_root() {
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("given away");
    }
    let trace = folder.path().join("trace");
    // Anybody may be nicer, but not under `~@resources`.
    let mut command = confined(folder.path(), &allowed_calls(), &trace);
    let (_, _, complaint) = said(command.args(["nice", "-n", "5", "true"]));
    let trace = fs::read_to_string(&trace).unwrap_or_else(|_| panic!("no trace: {complaint}"));
    let call = trace.lines().find(|line| line.contains("setpriority(")).expect("nice is nice");
    assert!(call.contains("EPERM") && call.contains("(INJECTED)"), "{call}");
}
