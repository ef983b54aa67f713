//! No secret is ever shown.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};

use crate::client::{Answer, Client, eventually, github_signature};
use crate::daemon::{Daemon, Home};
use crate::wire::{answers, exchange, files};

/// A secret for each place one can stand in.
const CANARIES: &[&str] = &[
    "canary-inline-5d41",
    "canary-environment-7d79",
    "canary-file-9f3a",
    "canary-credential-2b1c",
    "canary-rotated-new-8e0d",
    "canary-rotated-old-4c6f",
    "canary-token-1a7b",
    "canary-bearer-6e2d",
    "canary-password-3f9c",
    "canary-header-0b8e",
    "canary-header-file-77aa",
    "canary-signing-key-a9e1f0",
    "canary-admin-c3d5",
    "canary-authorization-e4f2",
];

const CONFIG: &str = r#"
[ingress]
listen = "127.0.0.1:0"
body_timeout = "300ms"
header_timeout = "1s"
[admin]
listen = "127.0.0.1:0"
token = { file = "admin" }
[journal]
path = "journal"
min_free = 0
[log]
level = "trace"
format = "FORMAT"
[topics.inline]
validator = { type = "github", secret = "canary-inline-5d41" }
[topics.environment]
validator = { type = "github", secret = { env = "FOREBAY_TEST_SECRET" } }
[topics.file]
validator = { type = "github", secret = { file = "file" } }
[topics.credential]
validator = { type = "github", secret = { credential = "credential" } }
[topics.rotated]
validator = { type = "github", secrets = [
  { id = "new", file = "rotated-new" },
  { id = "old", file = "rotated-old", not_after = 2020-01-01T00:00:00Z },
] }
[topics.token]
validator = { type = "gitlab", secret = { file = "token" } }
[topics.bearer]
validator = { type = "bearer", secret = { file = "bearer" } }
[topics.basic]
validator = { type = "basic", user = "partner", secret = { file = "password" } }
[subscribers.console]
topics = ["*"]
sink = { type = "stdout" }
[subscribers.hook]
topics = ["*"]
retry = { first = "10ms", max = "20ms", attempts = 3 }
[subscribers.hook.sink]
type = "webhook"
url = "http://HOOK/refuse"
headers = { authorization = { env = "FOREBAY_TEST_HEADER" }, x-key = { file = "header-file" } }
sign = { secret = { file = "whsec" } }
"#;

fn home(format: &str, hook: &str) -> Home {
    let mut home = Home::with_text(&CONFIG.replace("FORMAT", format).replace("HOOK", hook));
    let put = |name: &str, text: &str| std::fs::write(home.path(name), format!("{text}\n")).expect("written");
    put("file", CANARIES[2]);
    std::fs::create_dir(home.path("credentials")).expect("a folder");
    put("credentials/credential", CANARIES[3]);
    put("rotated-new", CANARIES[4]);
    put("rotated-old", CANARIES[5]);
    put("token", CANARIES[6]);
    put("bearer", CANARIES[7]);
    put("password", CANARIES[8]);
    put("header-file", CANARIES[10]);
    put("whsec", &format!("whsec_{}", BASE64_STANDARD.encode(CANARIES[11])));
    put("admin", CANARIES[12]);
    let credentials = home.path("credentials").display().to_string();
    for (name, value) in [
        ("FOREBAY_TEST_SECRET", CANARIES[1]),
        ("FOREBAY_TEST_HEADER", CANARIES[9]),
        ("CREDENTIALS_DIRECTORY", credentials.as_str()),
    ] {
        home.env.push((name.to_owned(), value.to_owned()));
    }
    home
}

/// Each canary as it is, in Base64 and in hexadecimal.
fn needles() -> Vec<(String, Vec<u8>)> {
    let forms = |canary: &&str| {
        let hex = canary.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let base64 = BASE64_STANDARD_NO_PAD.encode(canary);
        // The last characters of Base64 depend on what follows.
        let base64 = base64[..base64.len() - 2].to_owned();
        let upper = hex.to_uppercase();
        [(*canary).to_owned(), base64, hex, upper].map(|form| ((*canary).to_owned(), form.into_bytes()))
    };
    CANARIES.iter().flat_map(forms).collect()
}

fn assert_clean(what: &str, text: &[u8]) {
    for (canary, form) in needles() {
        if let Some(at) = memchr::memmem::find(text, &form) {
            let around = &text[at.saturating_sub(200)..(at + 100).min(text.len())];
            panic!("{canary} in {what}: …{}…", String::from_utf8_lossy(around));
        }
    }
}

fn assert_clean_answer(what: &str, answer: &Answer) {
    assert_clean(what, format!("{:?}\n{}", answer.headers, answer.text()).as_bytes());
}

/// Answers everything with 500, and what it was sent with it, as some do. Gives its address.
fn refuser() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let mut part = vec![0; 65536];
            while let Ok(1..) = stream.read(&mut part) {
                if stream.write_all(b"HTTP/1.1 500 no\r\ncontent-length: 4\r\n\r\nno!\n").is_err() {
                    break;
                }
            }
        }
    });
    address
}

/// Requests of every kind on every topic: genuine, forged, broken, each with credentials of somebody else beside.
fn besiege(daemon: &Daemon) {
    let more = [("content-type", "application/json"), ("cookie", CANARIES[13]), ("x-github-event", "push")];
    let with = |extra: &[(&'static str, String)]| -> Vec<(&'static str, String)> {
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        more.chain(extra.iter().cloned()).collect()
    };
    let ask = |topic: &str, headers: &[(&str, String)], body: &[u8], status: u16| {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = daemon.post(topic, &headers, body);
        assert_eq!(answer.status, status, "{topic}");
        assert_clean_answer("an answer", &answer);
    };
    let own = [("inline", 0), ("environment", 1), ("file", 2), ("credential", 3), ("rotated", 4)];
    for (topic, canary) in own {
        let signed = |body: &[u8]| with(&[("x-hub-signature-256", github_signature(CANARIES[canary], body))]);
        ask(topic, &signed(b"{}"), b"{}", 202);
        ask(topic, &signed(b"{"), b"{", 400);
        ask(topic, &signed(b"{}"), b"[]", 403);
        ask(topic, &with(&[]), b"{}", 403);
        // Somebody puts the secret itself where the signature belongs, or anywhere.
        ask(topic, &with(&[("x-hub-signature-256", CANARIES[canary].to_owned())]), b"{}", 403);
        let shown = [
            ("x-hub-signature-256", github_signature(CANARIES[canary], b"{}")),
            ("x-secret", CANARIES[canary].to_owned()),
            ("authorization", format!("Bearer {}", CANARIES[13])),
        ];
        ask(topic, &with(&shown), b"{}", 202);
    }
    ask("rotated", &with(&[("x-hub-signature-256", github_signature(CANARIES[5], b"{}"))]), b"{}", 403);
    let basic = |password: &str| format!("Basic {}", BASE64_STANDARD.encode(format!("partner:{password}")));
    let tokens = [
        ("token", "x-gitlab-token", CANARIES[6].to_owned()),
        ("bearer", "authorization", format!("Bearer {}", CANARIES[7])),
        ("basic", "authorization", basic(CANARIES[8])),
    ];
    for (topic, header, value) in tokens {
        ask(topic, &with(&[(header, value.clone())]), b"{}", 202);
        ask(topic, &with(&[(header, value.clone())]), b"{", 400);
        ask(topic, &with(&[(header, format!("{value}x"))]), b"{}", 403);
        ask(topic, &with(&[(header, value.clone()), (header, value)]), b"{}", 403);
    }
    // Requests that break, with secrets in them.
    let head = format!("POST /api/events/http/token HTTP/1.1\r\nhost: h\r\nx-gitlab-token: {}\r\n", CANARIES[6]);
    let broken = [
        format!("{head}content-type: application/json\r\ncontent-length: 9\r\n\r\n{{}}"),
        format!("{head}content-length: x\r\n\r\n"),
        format!("{head}authorization : Bearer {}\r\n\r\n", CANARIES[7]),
        format!("{head}x: {}\r\n\r\n", "x".repeat(200_000)),
        head.clone(),
    ];
    for request in broken {
        assert_clean("an answer", &exchange(&daemon.ingress, request.as_bytes()));
    }
    let unknown = format!("GET /{}?x={} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", "nowhere", "y");
    assert_eq!(answers(&exchange(&daemon.ingress, unknown.as_bytes()))[0].status, 404);
    let mut admin = Client::connect(&daemon.admin).expect("it listens");
    for (token, status) in [(CANARIES[12], 200), (CANARIES[0], 401)] {
        let request = format!("GET /metrics HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {token}\r\n\r\n");
        admin.send(request.as_bytes()).expect("sent");
        let answer = admin.answer().expect("an answer");
        assert_eq!(answer.status, status);
        assert_clean_answer("the metrics", &answer);
    }
}

/// What the API tells of the siege, and of the secrets: the requests themselves, and none of what was secret in them.
fn inspect(daemon: &Daemon) {
    let mut admin = Client::connect(&daemon.admin).expect("it listens");
    let mut get = |path: &str| {
        let token = CANARIES[12];
        let head = format!("GET /api/v1/{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
        admin.send(head.as_bytes()).expect("sent");
        let answer = admin.answer().expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_clean_answer(path, &answer);
        serde_json::from_str::<serde_json::Value>(&answer.text()).expect("JSON")
    };
    let list = get("rejections?limit=500");
    let list = list["rejections"].as_array().expect("a list");
    assert!(list.len() > 30, "{}", list.len());
    let mut faults = std::collections::BTreeSet::new();
    for one in list {
        let whole = get(&format!("rejections/{}", one["id"].as_str().expect("an id")));
        let found = whole["findings"].as_array().expect("findings").iter();
        faults.extend(found.map(|finding| finding["fault"].as_str().expect("a name").to_owned()));
    }
    for fault in ["token-shown", "retired-secret", "repeated-header", "not-json", "missing-signature", "token-cut"] {
        assert!(faults.contains(fault), "{fault} is not among {faults:?}");
    }
    let secrets = get("secrets");
    let matched = |one: &&serde_json::Value| one["matched"] != 0;
    let secrets = secrets["secrets"].as_array().expect("a list");
    assert_eq!((secrets.len(), secrets.iter().filter(matched).count()), (9, 8));
}

#[test]
fn nothing_shows_a_secret_at_any_level() {
    let hook = refuser();
    for format in ["json", "text"] {
        let home = home(format, &hook);
        let daemon = home.start();
        besiege(&daemon);
        inspect(&daemon);
        eventually("attempts have failed", || {
            daemon.log().iter().any(|line| line.contains("deliveries only fail")).then_some(())
        });
        let command_line = std::fs::read(format!("/proc/{}/cmdline", daemon.pid())).expect("the process is there");
        assert_clean("the command line", &command_line);
        let (status, out, log) = daemon.stop();
        assert_eq!(status.code(), Some(0));
        assert!(log.len() > 20 && out.len() == 13, "{} lines of log, {} events", log.len(), out.len());
        assert_clean("the log", log.join("\n").as_bytes());
        assert_clean("standard output", out.join("\n").as_bytes());
        let files = files(&home.path("journal"));
        assert!(files.iter().any(|file| file.ends_with("state.sqlite")) && files.len() > 1, "{files:?}");
        for file in files {
            assert_clean(&file.display().to_string(), &std::fs::read(&file).expect("a file"));
        }
    }
}

#[test]
fn commands_and_errors_show_no_secret() {
    let hook = refuser();
    let home = home("json", &hook);
    let run = |args: &[&str]| {
        let mut command = home.command();
        let output = command.args(args).stdin(Stdio::null()).output().expect("the binary starts");
        let text = [output.stdout, output.stderr].concat();
        assert_clean(&format!("{args:?}"), &text);
        assert!(!text.is_empty(), "{args:?}");
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    };
    assert_eq!(run(&["check"]).0, Some(0));
    for args in [&["--help"][..], &["serve", "--help"], &["check", "--help"], &["--version"]] {
        assert_eq!(run(args).0, Some(0), "{args:?}");
    }
    let whole = std::fs::read_to_string(home.path("forebay.toml")).expect("a configuration");
    // Broken beside the secret, around it, and after it.
    let breaks = [
        ("secret = \"canary-inline-5d41\" }", "secret = \"canary-inline-5d41\", sekret = 1 }"),
        ("secret = \"canary-inline-5d41\" }", "secret = \"canary-inline-5d41\" "),
        ("secret = \"canary-inline-5d41\" }", "secret = [\"canary-inline-5d41\"] }"),
        ("secret = \"canary-inline-5d41\" }", "secret = { env = \"canary-inline-5d41\" }, secret = 1 }"),
        ("type = \"github\", secret = \"canary-inline-5d41\"", "type = \"githib\", secret = \"canary-inline-5d41\""),
        ("{ file = \"file\" }", "{ file = \"nothing\" }"),
        ("{ file = \"admin\" }", "{ file = \"credentials\" }"),
    ];
    for (from, to) in breaks {
        assert!(whole.contains(from));
        home.configure(&whole.replacen(from, to, 1));
        for command in ["check", "serve"] {
            let (code, text) = run(&[command]);
            assert_eq!(code, Some(78), "{to}: {text}");
        }
    }
    // It cannot start, with everything read.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = taken.local_addr().expect("an address").to_string();
    home.configure(&whole.replacen("127.0.0.1:0", &address, 1));
    let (code, text) = run(&["serve"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&address), "{text}");
}

#[test]
fn memory_and_environment_are_shown_to_nobody() {
    let home = home("json", &refuser());
    let daemon = home.start();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).expect("limits");
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit on cores");
    assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{cores}");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit on files");
    let words: Vec<&str> = files.split_whitespace().collect();
    assert_eq!(words[3], words[4], "as many files as are allowed: {files}");
    // The kernel gives the files of a process that must not be dumped to root, whoever runs it.
    let owner = std::fs::metadata(format!("/proc/{}/environ", daemon.pid())).expect("a process").uid();
    assert_eq!(owner, 0);
}
