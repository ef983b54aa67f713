//! TLS towards a receiver: whose certificates count, and which one is shown.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use http::Uri;
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};

use super::{OpenError, Settings};

/// TLS 1.2 and 1.3 with ring. Reads the files the settings name, and the system's roots where they are needed.
pub(super) fn client(settings: &Settings) -> Result<ClientConfig, OpenError> {
    let roots = match &settings.ca {
        Some(file) => Arc::new(authorities(file)?),
        None => roots_for(&settings.url)?,
    };
    let builder = builder(roots);
    match &settings.client_cert {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => {
            let certificates = certificates(chain)?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error, "private key"))?;
            builder
                .with_client_auth_cert(certificates, secret)
                .map_err(|error| OpenError::File(key.clone(), format!("does not fit `{}`: {error}", chain.display())))
        }
    }
}

/// The same for a client that is not a sink: the system's roots, and no certificate of its own.
///
/// # Errors
/// When the system has no roots.
pub fn tls_client(url: &Uri) -> Result<ClientConfig, OpenError> {
    Ok(builder(roots_for(url)?).with_no_client_auth())
}

fn builder(roots: Arc<RootCertStore>) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the cipher suites of TLS 1.2 and 1.3")
        .with_root_certificates(roots)
}

fn roots_for(url: &Uri) -> Result<Arc<RootCertStore>, OpenError> {
    if url.scheme_str() == Some("https") { system() } else { Ok(Arc::new(RootCertStore::empty())) }
}

fn authorities(file: &Path) -> Result<RootCertStore, OpenError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots
            .add(certificate)
            .map_err(|error| OpenError::File(file.to_owned(), format!("not a certificate authority: {error}")))?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let all = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(file, error, "certificate"))?;
    if all.is_empty() { Err(unusable(file, PemError::NoItemsFound, "certificate")) } else { Ok(all) }
}

/// Says what is wrong with a file without a byte of what is in it: it may be a key.
fn unusable(file: &Path, error: PemError, what: &str) -> OpenError {
    let why = match error {
        PemError::Io(error) => format!("cannot be read: {}", error.kind()),
        PemError::NoItemsFound => format!("holds no {what} in PEM"),
        _ => "is not well-formed PEM".to_owned(),
    };
    OpenError::File(file.to_owned(), why)
}

/// The system's roots, read once in the life of the process.
fn system() -> Result<Arc<RootCertStore>, OpenError> {
    static ROOTS: OnceLock<Result<Arc<RootCertStore>, String>> = OnceLock::new();
    ROOTS
        .get_or_init(|| {
            let found = rustls_native_certs::load_native_certs();
            let mut roots = RootCertStore::empty();
            // One bad certificate in a bundle must not take all the others with it.
            roots.add_parsable_certificates(found.certs);
            match (roots.is_empty(), found.errors.first()) {
                (false, _) => Ok(Arc::new(roots)),
                (true, Some(error)) => Err(error.to_string()),
                (true, None) => Err("none found".to_owned()),
            }
        })
        .clone()
        .map_err(OpenError::Roots)
}
