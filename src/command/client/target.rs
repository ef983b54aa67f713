//! Which daemon is asked, and with which token: from the command line, the environment and the configuration.

use std::path::{Path, PathBuf};

use http::HeaderValue;

use super::address::Address;
use crate::cli::operate::Remote;
use crate::command::failure::Failure;
use crate::config::Level;
use crate::plan;

/// The variable with the token.
pub(super) const TOKEN: &str = "FOREBAY_ADMIN_TOKEN";

/// A daemon to ask.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) address: Address,
    /// What is shown as `authorization`.
    pub(super) token: Option<HeaderValue>,
    /// Where the token comes from, or why there is none, for whoever is told that it was refused.
    pub(super) origin: Origin,
}

/// Where a token comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The environment.
    Environment,
    /// `admin.token` of this file.
    File(PathBuf),
    /// This file has one, which belongs to another address.
    Elsewhere(PathBuf),
    /// This file has one that cannot be read, and why.
    Unreadable(PathBuf, String),
    /// There is none.
    None,
}

/// Finds the daemon. `note` is told what is odd and no reason to end.
///
/// # Errors
/// When nothing says where it is, or what says it is wrong.
pub(super) fn find(remote: &Remote, config: &Path, note: impl Fn(&str)) -> Result<Target, Failure> {
    let named = remote.admin.as_deref().map(Address::parse).transpose().map_err(Failure::Usage)?;
    let own = std::env::var_os(TOKEN).filter(|token| !token.is_empty());
    let own = own.map(|token| header(std::os::unix::ffi::OsStrExt::as_bytes(&*token))).transpose()?;
    let read = match (plan::load_admin(config), named.is_some()) {
        (Ok(read), _) => Some(read),
        // It is needed for nothing else.
        (Err(_), true) => None,
        (Err(report), false) => return Err(Failure::Configuration(report)),
    };
    let Some((admin, report)) = read else {
        let origin = if own.is_some() { Origin::Environment } else { Origin::None };
        return Ok(Target { address: named.expect("it is, or nothing was read"), token: own, origin });
    };
    let broken = report.count(Level::Error);
    let address = match named {
        Some(address) => address,
        None => match admin.listen.first() {
            Some(listen) => Address::of(listen).map_err(Failure::Usage)?,
            None if broken > 0 => return Err(Failure::Configuration(report)),
            None => {
                let why = "the configuration has no admin listener: `admin.listen` is empty";
                return Err(Failure::Usage(format!("{why}; name the daemon with `--admin`")));
            }
        },
    };
    if let Some(token) = own {
        return Ok(Target { address, token: Some(token), origin: Origin::Environment });
    }
    let belongs = admin.listen.iter().any(|listen| address.is(listen));
    let unread = report
        .problems()
        .iter()
        .find(|problem| problem.level == Level::Error && problem.key.starts_with("admin.token"));
    let (token, origin) = match (&admin.token, unread) {
        (Some(secret), _) if belongs => (Some(header(secret.expose())?), Origin::File(config.to_owned())),
        (Some(_), _) => (None, Origin::Elsewhere(config.to_owned())),
        (None, Some(problem)) => (None, Origin::Unreadable(config.to_owned(), problem.message.clone())),
        (None, None) => (None, Origin::None),
    };
    // Of the token is spoken when the daemon wants it.
    if broken > usize::from(unread.is_some()) {
        note(&format!(
            "warning: there are errors in `{}`, of which the daemon is found all the same; `forebay check` shows them",
            config.display()
        ));
    }
    Ok(Target { address, token, origin })
}

fn header(token: &[u8]) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_bytes(&[b"Bearer ", token].concat())
        .map_err(|_| Failure::Failed("the admin token cannot be sent: there is a control character in it".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Target {
    /// What to say to somebody whom the daemon does not let in.
    pub(super) fn refused(&self) -> String {
        let why = match &self.origin {
            Origin::Environment => format!("it does not take the one of `${TOKEN}`"),
            Origin::File(file) => format!("it does not take `admin.token` of `{}`", file.display()),
            Origin::Elsewhere(file) => {
                format!("that of `{}` belongs to the address there and is not shown to another", file.display())
            }
            Origin::Unreadable(file, why) => format!("`admin.token` of `{}` could not be had: {why}", file.display()),
            Origin::None => "none was found".into(),
        };
        format!(
            "the admin API at {} wants a token, and {why}; set `{TOKEN}`, or `admin.token` in the configuration",
            self.address
        )
    }
}
