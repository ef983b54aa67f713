//! The folder and the environment in which test configurations are read.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use forebay::config::Report;
use forebay::event::Millis;
use forebay::plan::{self, Loaded, Surroundings};

/// 2026-11-23T08:00:00Z.
const NOW: Millis = Millis(1_795_420_800_000);

/// A folder with secrets and certificates, some good and some bad.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
        let (cert, key) = (cert.pem(), signing_key.serialize_pem());
        let files: [(&str, &[u8]); 19] = [
            ("good", b"a secret of more than sixteen bytes\n"),
            ("open", b"a secret of more than sixteen bytes\n"),
            ("empty", b"\n"),
            ("binary", b"sixteen bytes\x00\x01 and more"),
            ("whsec", b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=\n"),
            ("whsec-short", b"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"),
            ("cert.pem", cert.as_bytes()),
            ("key.pem", key.as_bytes()),
            ("admin.token", b"a secret of more than sixteen bytes"),
            ("erp.key", b"a secret of more than sixteen bytes"),
            ("partner", b"a secret of more than sixteen bytes"),
            ("meta", b"a secret of more than sixteen bytes"),
            ("meta.verify", b"a secret of more than sixteen bytes"),
            ("bitbucket", b"a secret of more than sixteen bytes"),
            ("credentials/legacy", b"a secret of more than sixteen bytes"),
            ("credentials/bitbucket", b"a secret of more than sixteen bytes"),
            ("new.whsec", b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="),
            ("old.whsec", b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="),
            ("ci.whsec", b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="),
        ];
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(&path, bytes).expect("written");
            let mode = if name == "open" { 0o644 } else { 0o600 };
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("set");
        }
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Reads a configuration here.
    pub(crate) fn read(&self, text: &str) -> Result<Loaded, Report> {
        self.read_with(text, || None)
    }

    /// Reads a configuration here, as if systemd had given credentials.
    pub(crate) fn read_with_credentials(&self, text: &str) -> Result<Loaded, Report> {
        self.read_with(text, || Some(self.path().join("credentials").into()))
    }

    fn read_with(&self, text: &str, credentials: impl Fn() -> Option<OsString>) -> Result<Loaded, Report> {
        let env = |name: &str| match name {
            "GITHUB_WEBHOOK_SECRET" | "BITBUCKET_OLD" | "CI_TOKEN" | "OTLP_TENANT" | "BACKSTAGE_EVENTS_TOKEN" => {
                Some("variable-of-the-environment".into())
            }
            "EMPTY" => Some(OsString::new()),
            "CREDENTIALS_DIRECTORY" => credentials(),
            _ => None,
        };
        plan::parse_in(text, "test.toml", &Surroundings { folder: self.path(), env: &env, now: NOW })
    }
}
