//! Secrets: where they come from, when they are valid, and the only place that compares them. Never printed.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::event::Millis;

/// The most bytes a secret may have. A longer one is a wrong file, not a secret.
pub const MAX_SECRET: usize = 64 * 1024;

/// Bytes that are shown to nobody: not printed, not serialised, compared in constant time, wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes as a secret, exactly as they are.
    ///
    /// # Errors
    /// When there are none, or more than [`MAX_SECRET`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, SecretError> {
        let bytes = Zeroizing::new(bytes);
        match bytes.len() {
            0 => Err(SecretError::Empty),
            n if n > MAX_SECRET => Err(SecretError::TooLong),
            _ => Ok(Self(bytes)),
        }
    }

    /// The bytes, for a key schedule or an outgoing header. Whoever calls this must not print them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether the secret is these bytes, in time that depends on the lengths only.
    #[must_use]
    pub fn equals(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Where a secret is read from. Prints the place, never what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file; a trailing line break is not part of the secret.
    File(PathBuf),
    /// A systemd credential, a file of that name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

impl SecretSource {
    /// Reads the secret.
    ///
    /// # Errors
    /// When the variable or file is missing or unreadable, or what is there is empty or too long.
    pub fn read(&self) -> Result<Secret, SecretError> {
        self.read_with(&|name| std::env::var_os(name))
    }

    /// Reads the secret with these environment variables instead of the process's own.
    ///
    /// # Errors
    /// As [`SecretSource::read`].
    pub fn read_with(&self, env: &dyn Fn(&str) -> Option<OsString>) -> Result<Secret, SecretError> {
        match self {
            Self::Env(name) => {
                use std::os::unix::ffi::OsStringExt;
                let value = env(name).ok_or_else(|| SecretError::NoVariable(name.clone()))?;
                Secret::new(value.into_vec())
            }
            Self::File(path) => read_file(path),
            Self::Credential(name) => {
                let folder = env("CREDENTIALS_DIRECTORY").ok_or(SecretError::NoCredentials)?;
                read_file(&Path::new(&folder).join(name))
            }
        }
    }
}

fn read_file(path: &Path) -> Result<Secret, SecretError> {
    use std::io::Read;
    let unreadable = |error: std::io::Error| SecretError::Unreadable(path.to_owned(), error.kind());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Zeroizing::new(Vec::new());
    // One more than fits, so that a file too long is noticed without being read whole.
    file.take(MAX_SECRET as u64 + 3).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Secret::new(bytes.to_vec())
}

/// Why a secret could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretError {
    /// Nothing is there.
    Empty,
    /// More than [`MAX_SECRET`] bytes.
    TooLong,
    /// The environment variable is not set.
    NoVariable(String),
    /// `$CREDENTIALS_DIRECTORY` is not set: not started by systemd with credentials.
    NoCredentials,
    /// The file could not be read.
    Unreadable(PathBuf, std::io::ErrorKind),
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the secret is empty"),
            Self::TooLong => write!(f, "the secret is longer than {MAX_SECRET} bytes"),
            Self::NoVariable(name) => write!(f, "the variable `{name}` is not set"),
            Self::NoCredentials => f.write_str("`$CREDENTIALS_DIRECTORY` is not set"),
            Self::Unreadable(path, kind) => write!(f, "cannot read `{}`: {kind}", path.display()),
        }
    }
}

impl std::error::Error for SecretError {}

/// A secret of a list, with the time it is good for.
#[derive(Debug, Clone)]
pub struct Key {
    /// What the metric and the log call it; never the secret itself.
    pub id: String,
    /// The secret.
    pub secret: Secret,
    /// Not valid earlier than this.
    pub not_before: Option<Millis>,
    /// Not valid at this time or later.
    pub not_after: Option<Millis>,
}

/// What may be told of a [`Key`]: all but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLabel {
    /// What the metric and the log call it.
    pub id: String,
    /// Not valid earlier than this.
    pub not_before: Option<Millis>,
    /// Not valid at this time or later.
    pub not_after: Option<Millis>,
}

impl Key {
    /// What may be told of it.
    #[must_use]
    pub fn label(&self) -> KeyLabel {
        KeyLabel { id: self.id.clone(), not_before: self.not_before, not_after: self.not_after }
    }

    /// Whether it counts at that moment.
    #[must_use]
    pub fn valid_at(&self, now: Millis) -> bool {
        self.not_before.is_none_or(|from| from <= now) && self.not_after.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_line_break_is_not_part_of_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        for (text, want) in [("k", "k"), ("k\n", "k"), ("k\r\n", "k"), ("k\n\n", "k\n"), (" k ", " k ")] {
            std::fs::write(&path, text).expect("written");
            assert_eq!(read_file(&path).expect("read").expose(), want.as_bytes(), "{text:?}");
        }
        for empty in ["", "\n"] {
            std::fs::write(&path, empty).expect("written");
            assert_eq!(read_file(&path).err(), Some(SecretError::Empty));
        }
        std::fs::write(&path, vec![b'x'; MAX_SECRET + 1]).expect("written");
        assert_eq!(read_file(&path).err(), Some(SecretError::TooLong));
        assert!(matches!(read_file(&folder.path().join("absent")), Err(SecretError::Unreadable(..))));
    }

    #[test]
    fn it_is_never_printed() {
        let key = Key {
            id: "a".into(),
            secret: Secret::new(b"canary".to_vec()).expect("not empty"),
            not_before: None,
            not_after: Some(Millis(5)),
        };
        assert!(!format!("{key:?}").contains("canary"));
        assert!(key.valid_at(Millis(4)) && !key.valid_at(Millis(5)));
        assert!(key.secret.equals(b"canary") && !key.secret.equals(b"canarz") && !key.secret.equals(b"canary2"));
    }
}
