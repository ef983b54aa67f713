//! A server that answers before it has anything on the disk: what the crash test must be able to catch.
//!
//! It is this test binary, started again, so that it can be killed.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ledger::{Arrival, digest_of};
use crate::client::eventually;
use crate::receiver::read_request;

/// Names the folder in which the server works.
const FOLDER: &str = "FOREBAY_TEST_EARLY_SERVER";
/// Set where it shall answer too early.
const EARLY: &str = "FOREBAY_TEST_ANSWERS_EARLY";

/// Does nothing, unless it was started as the server.
#[test]
fn the_server() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let early = std::env::var_os(EARLY).is_some();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::fs::write(folder.join("address.new"), address).expect("written");
    std::fs::rename(folder.join("address.new"), folder.join("address")).expect("renamed");
    for stream in listener.incoming().map_while(Result::ok) {
        let folder = folder.clone();
        std::thread::spawn(move || {
            let mut stream = std::io::BufReader::new(stream);
            while let Ok(Some((headers, body))) = read_request(&mut stream) {
                let delivery = headers.iter().find(|(name, _)| name == "x-github-delivery").expect("an id").1.clone();
                let answer =
                    format!("HTTP/1.1 202 Accepted\r\nforebay-event-id: {delivery}\r\ncontent-length: 0\r\n\r\n");
                let answered = stream.get_mut();
                if early {
                    let _ = answered.write_all(answer.as_bytes());
                    // As long as a busy disk takes for a sync.
                    std::thread::sleep(Duration::from_millis(10));
                }
                note(&folder, &delivery, &body);
                if !early {
                    let _ = stream.get_mut().write_all(answer.as_bytes());
                }
            }
        });
    }
}

fn note(folder: &Path, delivery: &str, body: &[u8]) {
    let digest = STANDARD.encode(digest_of(body));
    let mut file = OpenOptions::new().append(true).create(true).open(folder.join("events")).expect("opened");
    file.write_all(format!("{delivery} {digest}\n").as_bytes()).expect("written");
}

/// The server, running.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(folder: &Path, early: bool) -> Self {
        let _ = std::fs::remove_file(folder.join("address"));
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args(["crash::early::the_server", "--exact", "--test-threads=1"]);
        command.env(FOLDER, folder).stdout(Stdio::null()).stderr(Stdio::null());
        if early {
            command.env(EARLY, "1");
        }
        let child = command.spawn().expect("this binary starts");
        let address = eventually("the server listens", || std::fs::read_to_string(folder.join("address")).ok());
        Self { child, address }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }
}

/// Everything that the server has noted, over all its lives.
pub(crate) fn arrivals(folder: &Path) -> Vec<Arrival> {
    let text = std::fs::read_to_string(folder.join("events")).expect("something arrived");
    let arrival = |line: &str| {
        let (delivery, digest) = line.split_once(' ').expect("two words");
        let digest = STANDARD.decode(digest).expect("base64").try_into().expect("32 bytes");
        Arrival { id: delivery.to_owned(), delivery: delivery.to_owned(), digest }
    };
    text.lines().map(arrival).collect()
}
