//! Finding the daemon, and being let in.

use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::{Ended, TOPICS, bare, command, post, run};
use crate::daemon::Home;
use crate::receiver::{Receiver, nobody, read_request};

const TOKEN: &str = "a-token-that-is-shown-nowhere-else";

/// A folder with an admin listener on a unix socket, and further keys of `[admin]`.
fn on_a_socket(more: &str) -> Home {
    Home::with_text(&format!(
        "[ingress]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"unix:admin.sock\"\n{more}\n\
         [journal]\npath = \"journal\"\nmin_free = \"1 MiB\"\n[log]\nformat = \"json\"\n{TOPICS}"
    ))
}

fn listed(home: &Home, arguments: &[&str], env: &[(&str, &str)]) -> Ended {
    let mut command = bare(home);
    command.args(["topics", "list"]).args(arguments).envs(env.iter().copied());
    Ended::of(command)
}

#[test]
fn the_configuration_says_where_it_is_and_what_opens_it() {
    let home = on_a_socket("token = { file = \"token\" }");
    std::fs::write(home.path("token"), format!("{TOKEN}\n")).expect("written");
    let daemon = home.start();
    assert!(listed(&home, &[], &[]).done().starts_with("NAME "));
    // The same socket by another name.
    let socket = format!("unix:{}", home.path("./admin.sock").display());
    assert!(listed(&home, &["--admin", &socket], &[]).done().starts_with("NAME "));
    assert!(listed(&home, &[], &[("FOREBAY_ADMIN", &socket)]).done().starts_with("NAME "));

    // A wrong token of the environment comes first, and is told by where it is from.
    let ended = listed(&home, &[], &[("FOREBAY_ADMIN_TOKEN", "another")]);
    let why = ended.failed();
    assert!(why.contains("wants a token") && why.contains("$FOREBAY_ADMIN_TOKEN"), "{why}");
    assert!(!why.contains("another"), "{why}");

    // Without any configuration it takes the token of the environment.
    let elsewhere = Home::with_text("");
    std::fs::remove_file(elsewhere.path("forebay.toml")).expect("removed");
    assert!(listed(&elsewhere, &["--admin", &socket], &[]).failed().contains("none was found"));
    let opened = listed(&elsewhere, &["--admin", &socket], &[("FOREBAY_ADMIN_TOKEN", TOKEN)]);
    assert!(opened.done().starts_with("NAME "));
    assert_eq!(listed(&elsewhere, &[], &[]).code, Some(78));

    // A token of ours that has changed since.
    std::fs::write(home.path("token"), "changed-since").expect("written");
    let ended = listed(&home, &[], &[]);
    let why = ended.failed();
    assert!(why.contains("does not take `admin.token` of") && !why.contains("changed-since"), "{why}");
    std::fs::remove_file(home.path("token")).expect("removed");
    let ended = listed(&home, &[], &[]);
    assert!(ended.failed().contains("could not be had: there is no file"), "{ended:?}");
    daemon.stop();
}

#[test]
fn a_file_that_is_wrong_elsewhere_still_says_where_the_daemon_is() {
    let home = on_a_socket("");
    let _daemon = home.start();
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("the configuration");
    // A word that there is not is not even looked at; what cannot be parsed is.
    home.configure(&text.replace("[journal]", "[jurnal]"));
    assert!(listed(&home, &[], &[]).done().starts_with("NAME "));
    home.configure(&(text.clone() + "\n[topics.broken\nvalidator = {"));
    let ended = listed(&home, &[], &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.starts_with("warning: there are errors in `"), "{}", ended.err);
    assert!(ended.out.starts_with("NAME "), "{}", ended.out);

    home.configure(&text.replace("\"unix:admin.sock\"", "\"8081\""));
    let ended = listed(&home, &[], &[]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(78), ""), "{}", ended.err);
    assert!(ended.err.contains("admin.listen"), "{}", ended.err);
    home.configure(&text.replace("\"unix:admin.sock\"", "[]"));
    let ended = listed(&home, &[], &[]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{}", ended.err);
    assert!(ended.err.contains("`--admin`"), "{}", ended.err);
}

#[test]
fn nobody_there_is_told_for_every_command() {
    const ID: &str = "01935a3c-7a00-7000-8000-000000000001";
    let home = Home::new("", TOPICS);
    let address = nobody();
    let config = home.path("forebay.toml");
    let commands: [&[&str]; 24] = [
        &["events", "list"],
        &["events", "show", ID],
        &["events", "show", ID, "--body"],
        &["events", "tail"],
        &["replay", ID],
        &["replay", "--since", "1h", "--to", "ci"],
        &["replay", "list"],
        &["replay", "cancel", "1"],
        &["dead", "list"],
        &["dead", "retry", "ci", "--all"],
        &["dead", "drop", "ci", ID],
        &["subscribers", "list"],
        &["subscribers", "show", "ci"],
        &["subscribers", "pause", "ci"],
        &["subscribers", "resume", "ci"],
        &["topics", "list"],
        &["doctor"],
        &["doctor", ID],
        &["doctor", "--list"],
        &["secrets"],
        &["reload"],
        &["reload", "--dry-run"],
        &["check", "--diff"],
        &["plan", config.to_str().expect("UTF-8")],
    ];
    for arguments in commands {
        for json in [&[][..], &["--json"]] {
            if !json.is_empty() && arguments.contains(&"--body") {
                continue;
            }
            let mut command = bare(&home);
            command.args(arguments).args(json).args(["--admin", &address]);
            let ended = Ended::of(command);
            let want = format!(
                "cannot reach the admin API at http://{address}: connection refused; is the daemon running? (`forebay \
                 serve`), or name it with `--admin`"
            );
            assert_eq!(ended.failed(), want, "{arguments:?}");
        }
    }
    let missing = home.path("no.sock");
    let mut command = bare(&home);
    command.args(["topics", "list", "--admin"]).arg(format!("unix:{}", missing.display()));
    let ended = Ended::of(command);
    assert!(ended.failed().contains("no.sock: entity not found; is the daemon running?"), "{ended:?}");
    // Port 0 of the configuration is any.
    let ended = listed(&home, &[], &[]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    assert!(ended.err.contains("port of the admin listener is 0"), "{}", ended.err);
    let ended = listed(&home, &["--admin", "http://u:opensesame@127.0.0.1:1"], &[]);
    assert_eq!(ended.code, Some(2));
    assert!(!ended.err.contains("opensesame"), "{}", ended.err);
}

/// Answers one request with these bytes; the headers it came with.
fn answers(bytes: Vec<u8>) -> (String, JoinHandle<Vec<(String, String)>>) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address").to_string();
    let server = std::thread::spawn(move || {
        let mut stream = BufReader::new(socket.accept().expect("a connection").0);
        let (headers, _) = read_request(&mut stream).expect("a request").expect("a request");
        stream.get_mut().write_all(&bytes).expect("written");
        headers
    });
    (address, server)
}

fn http(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

#[test]
fn something_else_is_not_taken_for_the_daemon() {
    let home = Home::new("", TOPICS);
    let json = "application/json";
    let failure =
        r#"{"error":{"name":"NotFoundError","message":"no \u001b[2J such\nthing"},"response":{"statusCode":404}}"#;
    for (bytes, want) in [
        (http("200 OK", "text/html", "<html>"), "is not the admin API of a forebay: its answer is not JSON"),
        (http("200 OK", json, "[]"), "words of another version"),
        (http("200 OK", json, "{\"topics\":[{\"name\":\"\u{1b}\"}]}"), "its answer is not JSON"),
        (http("302 Found", "text/html", ""), "is not the admin API of a forebay: it answers 302 Found"),
        (http("404 Not Found", "text/html", "<html>"), "is not the admin API of a forebay: it answers 404 Not Found"),
        (http("404 Not Found", json, failure), "no \\u001b[2J such\nthing"),
        (b"220 mail.example ESMTP\r\n".to_vec(), "is not the admin API of a forebay: it does not speak HTTP"),
        (Vec::new(), "broke off"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"t".to_vec(), "broke off"),
    ] {
        let (address, server) = answers(bytes);
        let ended = listed(&home, &["--admin", &address], &[]);
        assert!(ended.failed().contains(want), "{want}: {}", ended.err);
        assert!(!ended.err.contains('\u{1b}'), "{:?}", ended.err);
        server.join().expect("no panic");
    }
}

/// Whoever has somebody look at another address does not get the token of this one.
#[test]
fn a_token_is_shown_only_where_it_belongs() {
    let answer = || answers(http("200 OK", "application/json", r#"{"topics":[]}"#));
    let shown = |headers: &[(String, String)]| headers.iter().find(|(name, _)| name == "authorization").cloned();
    let (address, server) = answer();
    let config = |listen: &str| format!("[admin]\nlisten = \"{listen}\"\ntoken = \"{TOKEN}\"\n{TOPICS}");
    let bearer = Some(("authorization".to_owned(), format!("Bearer {TOKEN}")));

    let home = Home::with_text(&config(&address));
    listed(&home, &[], &[]).done();
    assert_eq!(shown(&server.join().expect("no panic")), bearer, "its own");

    let (other, server) = answer();
    listed(&home, &["--admin", &other], &[]).done();
    assert_eq!(shown(&server.join().expect("no panic")), None, "another port");

    let (own, server) = answer();
    let home = Home::with_text(&config(&own));
    let port = own.rsplit(':').next().expect("a port");
    listed(&home, &["--admin", &format!("http://localhost:{port}")], &[]).done();
    assert_eq!(shown(&server.join().expect("no panic")), bearer, "itself by name");

    let (other, server) = answers(http("401 Unauthorized", "application/json", "{}"));
    let ended = listed(&home, &["--admin", &other], &[]);
    assert!(ended.failed().contains("belongs to the address there"), "{ended:?}");
    assert!(!ended.err.contains(TOKEN));
    server.join().expect("no panic");

    let (other, server) = answer();
    listed(&home, &["--admin", &other], &[("FOREBAY_ADMIN_TOKEN", "for-this-one")]).done();
    assert_eq!(shown(&server.join().expect("no panic")), Some(("authorization".into(), "Bearer for-this-one".into())));
}

#[test]
fn a_daemon_that_says_nothing_is_not_waited_for() {
    let home = Home::new("", TOPICS);
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address").to_string();
    let ended = listed(&home, &["--admin", &address], &[]);
    assert_eq!(ended.failed(), format!("the admin API at http://{address} did not answer within 10 s"));
}

#[test]
fn whoever_has_read_enough_ends_it_quietly() {
    let home = Home::new("", TOPICS);
    let daemon = home.start();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut listing = command(&home, &daemon, &["topics", "list"]);
    let output = listing.stdin(std::process::Stdio::null()).stdout(writer).output().expect("the binary starts");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a full disk");
    let output = command(&home, &daemon, &["topics", "list"]).stdout(full).output().expect("the binary starts");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.starts_with("error: cannot write to standard output: "), "{err}");
    let ended = run(&home, &daemon, &["events", "list", "--before", "x"]);
    assert!(ended.failed().contains("`before` is what `next`"), "{ended:?}");
}

#[test]
fn every_command_goes_over_a_unix_socket() {
    let receiver = Receiver::always(200);
    let home = on_a_socket("");
    let text = std::fs::read_to_string(home.path("forebay.toml")).expect("the configuration");
    let sink = format!("sink = {{ type = \"webhook\", url = \"{}\" }}", receiver.url());
    home.configure(&format!("{text}\n[subscribers.ci]\ntopics = [\"*\"]\n{sink}\n"));
    let daemon = home.start();
    let id = post(&mut daemon.client(), &[], b"1");
    receiver.wait_for(1);
    assert_eq!(daemon.post("github", &[("content-type", "application/json")], b"{}").status, 403);
    let config = home.path("forebay.toml");
    let done = |arguments: &[&str], want: &str| {
        let mut command = bare(&home);
        command.args(arguments);
        let ended = Ended::of(command);
        assert!(ended.done().contains(want), "{arguments:?}: {}", ended.out);
    };
    done(&["events", "list"], &id);
    done(&["events", "show", &id], &id);
    done(&["events", "show", &id, "--body"], "1");
    done(&["replay", &id, "--to", "ci"], "1 event handled again");
    done(&["replay", "--since", "1h", "--dry-run"], "1 event would be delivered again");
    done(&["replay", "list"], " done ");
    done(&["dead", "list"], "no dead letters");
    done(&["dead", "retry", "ci", "--all"], "no such dead letters");
    done(&["dead", "drop", "ci", "--all"], "no such dead letters");
    done(&["subscribers", "list"], "running");
    done(&["subscribers", "show", "ci"], "subscriber ci");
    done(&["subscribers", "pause", "ci"], "ci is paused");
    done(&["subscribers", "resume", "ci"], "ci goes on");
    done(&["topics", "list"], "github");
    done(&["doctor", "--list"], " 403 ");
    done(&["doctor"], "findings");
    done(&["secrets"], "github");
    done(&["check", "--diff"], "no difference");
    done(&["reload", "--dry-run"], "nothing would change");
    done(&["reload"], "nothing has changed");
    done(&["plan", config.to_str().expect("UTF-8")], "1 event looked at");
}
