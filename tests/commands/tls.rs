//! `send` over TLS, and to a server that answers with what it was sent.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::daemon::Home;
use crate::ended;

const SECRET: &str = "a-secret-that-is-shown-nowhere";

/// Reads a request up to the end of its body, which is one JSON object without another in it.
fn read(stream: &mut impl Read) -> std::io::Result<String> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.ends_with(b"}") {
        match stream.read(&mut buffer)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => request.extend_from_slice(&buffer[..n]),
        }
    }
    Ok(String::from_utf8_lossy(&request).into_owned())
}

fn answer(stream: &mut impl Write, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")?;
    stream.flush()
}

/// A server for one connection over TLS: its URL and certificate, and what was said to it.
fn tls_server() -> (String, String, JoinHandle<std::io::Result<String>>) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(cert.der().to_vec())], key)
        .expect("a certificate");
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://localhost:{}/hook", socket.local_addr().expect("an address").port());
    let server = std::thread::spawn(move || {
        let connection = ServerConnection::new(Arc::new(config)).map_err(std::io::Error::other)?;
        let mut stream = StreamOwned::new(connection, socket.accept()?.0);
        let request = read(&mut stream)?;
        answer(&mut stream, "thanks")?;
        stream.conn.send_close_notify();
        stream.flush()?;
        Ok(request)
    });
    (url, cert.pem(), server)
}

fn home() -> Home {
    Home::new(
        "",
        &format!(
            "[topics.github]\nvalidator = {{ type = \"github\", secret = \"{SECRET}\" }}\n\
             [topics.bearer]\nvalidator = {{ type = \"bearer\", secret = \"{SECRET}\" }}\n"
        ),
    )
}

#[test]
fn https_is_tls_with_a_certificate_that_is_checked() {
    let home = home();
    std::fs::write(home.path("message"), br#"{"a":1}"#).expect("written");
    let message = home.path("message");
    let send = |url: &str, authorities: &std::path::Path| {
        let mut command = home.command();
        command.args(["send", "github", "--to", url, "--data"]).arg(&message);
        // Where the system's authorities are looked for.
        ended(&command.env("SSL_CERT_FILE", authorities).output().expect("the binary starts"))
    };
    let (url, pem, server) = tls_server();
    std::fs::write(home.path("ca.pem"), pem).expect("written");
    let (code, out, err) = send(&url, &home.path("ca.pem"));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert_eq!(out, format!("POST {url} (7 bytes)\n200 OK\nthanks\n"));
    let request = server.join().expect("no panic").expect("a request").to_lowercase();
    assert!(request.starts_with("post /hook http/1.1\r\n") && request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
    for header in ["content-type: application/json\r\n", "x-hub-signature-256: sha256=", "user-agent: forebay/"] {
        assert!(request.contains(header), "{header}: {request}");
    }

    let (url, _, server) = tls_server();
    let (code, _, err) = send(&url, &home.path("ca.pem"));
    assert_eq!(code, Some(1));
    assert!(err.contains("the TLS handshake failed"), "{err}");
    server.join().expect("no panic").expect_err("the certificate is another");
}

#[test]
fn an_answer_with_the_secret_in_it_is_not_shown() {
    let home = home();
    std::fs::write(home.path("message"), br#"{"a":1}"#).expect("written");
    for (topic, hidden) in [("bearer", true), ("github", false)] {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", socket.local_addr().expect("an address"));
        let server = std::thread::spawn(move || {
            let mut stream = socket.accept()?.0;
            let request = read(&mut stream)?;
            answer(&mut stream, &request)
        });
        let mut command = home.command();
        let output = command.args(["send", topic, "--to", &url, "--data"]).arg(home.path("message")).output();
        let (code, out, err) = ended(&output.expect("the binary starts"));
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        assert!(!out.contains(SECRET), "{out}");
        assert_eq!(out.contains("not shown"), hidden, "{topic}: {out}");
        assert_eq!(out.contains("content-type: application/json"), !hidden, "{topic}: {out}");
        server.join().expect("no panic").expect("it answered");
    }
}
