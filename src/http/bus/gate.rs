//! Who may call the bus: Backstage's plugins by their tokens, and whoever holds a static token. Never a user.

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::keys::NoKeys;
use super::{BusDoor, Site};
use crate::event::Millis;
use crate::http::reply::{Answer, Refusal, error_json};
use crate::validate::plugin_token::{Claimed, Principal, TokenError};

fn unauthenticated(message: &str) -> Answer {
    let mut answer = error_json(StatusCode::UNAUTHORIZED, "AuthenticationError", message);
    answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}

fn not_believed(error: TokenError) -> Answer {
    match error {
        TokenError::Illegal => unauthenticated("Illegal token"),
        TokenError::User => {
            error_json(StatusCode::FORBIDDEN, "NotAllowedError", "This endpoint does not allow 'user' credentials")
        }
        TokenError::Failed(why) => {
            tracing::debug!(why, "refused a plugin token");
            unauthenticated("Failed plugin token verification")
        }
        TokenError::UnknownKey => unauthenticated("Failed plugin token verification"),
    }
}

impl BusDoor {
    /// Who calls.
    pub(super) async fn gate(&self, site: &Site, headers: &HeaderMap) -> Result<Principal, Answer> {
        let missing = || unauthenticated("Missing credentials");
        let mut shown = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (shown.next(), shown.next()) else { return Err(missing()) };
        let (scheme, token) = value.as_bytes().split_at_checked(7).ok_or_else(missing)?;
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return Err(missing());
        }
        let token = token.trim_ascii();
        // All of them, whichever matches: how long it takes tells nothing.
        let matching = site.settings.tokens.iter().enumerate().rfind(|(_, known)| known.equals(token));
        if let Some((at, _)) = matching {
            return Ok(Principal::of_static_token(at + 1));
        }
        let token = std::str::from_utf8(token).map_err(|_| not_believed(TokenError::Illegal))?;
        let claimed = Claimed::read(token).map_err(not_believed)?;
        let now = Millis::now();
        let unreachable = |error: NoKeys| match error {
            NoKeys::Unreachable => Refusal::NoRoom.answer(true),
            NoKeys::None => unauthenticated("Failed plugin token verification"),
        };
        let keys = self.keys.of(claimed.plugin()).await.map_err(unreachable)?;
        match claimed.check(&keys, now) {
            Err(TokenError::UnknownKey) => {
                // Plugins change their keys about hourly.
                let keys = self.keys.anew(claimed.plugin()).await.map_err(unreachable)?;
                claimed.check(&keys, now).map_err(not_believed)
            }
            checked => checked.map_err(not_believed),
        }
    }
}
