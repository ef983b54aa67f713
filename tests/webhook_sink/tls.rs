//! TLS: whose certificates count, client certificates, HTTP/2, and files that are not what they should be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay::sink::webhook::{OpenError, Settings, Webhook};
use http::Version;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tempfile::{NamedTempFile, TempDir};

use crate::receiver::Receiver;
use crate::{deliver, open, refused, settings, small};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "a test authority");
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certificate and key for these names.
    fn issue(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        (params.expect("names").signed_by(&key, &self.0).expect("a certificate"), key)
    }
}

/// A file with an authority that signed nothing.
pub(crate) fn authority_file() -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), Authority::new().pem()).expect("written");
    file
}

/// A server with a certificate of `ours`, which asks for one of `theirs` if there is one.
fn server(
    ours: &Authority,
    names: &[&str],
    theirs: Option<&Authority>,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&str],
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).expect("versions");
    let builder = match theirs {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from(authority.0.der().to_vec())).expect("an authority");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let (certificate, key) = ours.issue(names);
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).expect("a certificate");
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

fn write(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("written");
    path
}

fn https(receiver: &Receiver, host: &str, ca: &Path) -> Settings {
    Settings {
        ca: Some(ca.to_owned()),
        ..settings(&format!("https://{host}:{}/hook?a=1&b=%20", receiver.address.port()))
    }
}

const BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12, &rustls::version::TLS13];

#[tokio::test]
async fn own_authority_and_alpn() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let ca = write(&folder, "ca.pem", &authority.pem());
    for (versions, alpn, want) in [
        (BOTH, &["h2", "http/1.1"][..], Version::HTTP_2),
        (&[&rustls::version::TLS12], &["h2", "http/1.1"], Version::HTTP_2),
        (&[&rustls::version::TLS13], &["http/1.1"], Version::HTTP_11),
        (BOTH, &[], Version::HTTP_11),
    ] {
        let receiver = Receiver::tls(server(&authority, &["localhost", "127.0.0.1"], None, versions, alpn)).await;
        for host in ["localhost", "127.0.0.1"] {
            deliver(&open(&https(&receiver, host, &ca)), small()).await.expect("delivered");
            let request = receiver.only();
            assert_eq!((request.version, &request.body[..]), (want, &b"{}"[..]), "{host} {alpn:?}");
            assert_eq!(request.uri.path_and_query().expect("a path").as_str(), "/hook?a=1&b=%20");
            assert_eq!(request.one("content-type"), "application/json");
            assert_eq!(request.one("forebay-attempt"), "3");
        }
    }
}

#[tokio::test]
async fn http_2_shares_a_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let ca = write(&folder, "ca.pem", &authority.pem());
    let receiver = Receiver::tls(server(&authority, &["localhost"], None, BOTH, &["h2"])).await;
    let sink = Arc::new(open(&https(&receiver, "localhost", &ca)));
    deliver(&sink, small()).await.expect("delivered");
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let sink = sink.clone();
            tokio::spawn(async move {
                for _ in 0..25 {
                    deliver(&sink, small()).await.expect("delivered");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task");
    }
    assert_eq!((receiver.take().len(), receiver.connections()), (201, 1));
}

#[tokio::test]
async fn certificates_that_do_not_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let ca = write(&folder, "ca.pem", &authority.pem());
    let other = write(&folder, "other.pem", &Authority::new().pem());
    let receiver = Receiver::tls(server(&authority, &["localhost"], None, BOTH, &["h2"])).await;
    for (host, ca, word) in [("localhost", &other, "certificate"), ("127.0.0.1", &ca, "name")] {
        let refusal = refused(&open(&https(&receiver, host, ca)), small()).await;
        assert_eq!((refusal.label, refusal.give_up), ("tls", false), "{host}: {}", refusal.reason);
        assert!(refusal.reason.to_lowercase().contains(word), "{}", refusal.reason);
    }
    assert!(receiver.take().is_empty());
}

#[tokio::test]
async fn plain_http_where_tls_is_expected() {
    let receiver = Receiver::start().await;
    let ca = authority_file();
    assert_eq!(refused(&open(&https(&receiver, "localhost", ca.path())), small()).await.label, "tls");
}

#[tokio::test]
async fn client_certificates() {
    let folder = tempfile::tempdir().expect("a folder");
    let (authority, clients) = (Authority::new(), Authority::new());
    let ca = write(&folder, "ca.pem", &authority.pem());
    let identity = |name: &str, from: &Authority| {
        let (certificate, key) = from.issue(&["forebay"]);
        let chain = write(&folder, &format!("{name}.pem"), &certificate.pem());
        Some((chain, write(&folder, &format!("{name}.key"), &key.serialize_pem())))
    };
    let (right, wrong) = (identity("right", &clients), identity("wrong", &authority));
    for versions in [&[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
        let config = server(&authority, &["localhost"], Some(&clients), versions, &["h2", "http/1.1"]);
        let receiver = Receiver::tls(config).await;
        let with = |client_cert| open(&Settings { client_cert, ..https(&receiver, "localhost", &ca) });
        deliver(&with(right.clone()), small()).await.expect("delivered");
        assert_eq!(receiver.take().len(), 1);
        for identity in [None, wrong.clone()] {
            let label = refused(&with(identity), small()).await.label;
            // In TLS 1.3 the client is done before the server has looked at its certificate, and what the server
            // says of it can be lost when it closes.
            let expected: &[_] = if versions[0] == &rustls::version::TLS12 { &["tls"] } else { &["tls", "protocol"] };
            assert!(expected.contains(&label), "{label}");
            assert!(receiver.take().is_empty());
        }
    }
}

#[test]
fn files_that_are_not_what_they_should_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["forebay"]);
    let chain = write(&folder, "chain.pem", &certificate.pem());
    let secret = write(&folder, "key.pem", &key.serialize_pem());
    let foreign = write(&folder, "foreign.pem", &KeyPair::generate().expect("a key").serialize_pem());
    let empty = write(&folder, "empty.pem", "");
    let torn = write(&folder, "torn.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    let junk = write(&folder, "junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let absent = folder.path().join("absent.pem");

    let base = settings("https://localhost/");
    let with_ca = |path: &PathBuf| Settings { ca: Some(path.clone()), ..base.clone() };
    let with_identity = |chain: &PathBuf, key: &PathBuf| Settings {
        ca: Some(chain.clone()),
        client_cert: Some((chain.clone(), key.clone())),
        ..base.clone()
    };
    assert!(Webhook::open(&with_identity(&chain, &secret)).is_ok());
    for (settings, named, word) in [
        (with_ca(&absent), &absent, "not found"),
        (with_ca(&empty), &empty, "no certificate"),
        (with_ca(&secret), &secret, "no certificate"),
        (with_ca(&torn), &torn, "PEM"),
        (with_ca(&junk), &junk, "authority"),
        (with_identity(&chain, &absent), &absent, "not found"),
        (with_identity(&chain, &chain), &chain, "no private key"),
        (with_identity(&chain, &foreign), &foreign, "does not fit"),
    ] {
        let error = Webhook::open(&settings).err().expect("an error");
        let OpenError::File(path, _) = &error else { panic!("{error}") };
        assert_eq!(path, named);
        assert!(error.to_string().contains(word), "{error}");
    }
}
