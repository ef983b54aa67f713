//! The providers, each a constant: how it signs, where type and delivery id are, and its handshake. From the providers'
//! own documentation on webhooks and their validation, and from the source of those that publish it.

use std::time::Duration;

use http::HeaderMap;

use self::Place::{Body as B, Header as H};
use super::handshake::Handshake;
use crate::signature::{Algorithm, At, Encoding, KeyForm, List, Rejection, Scheme, Stamp, Unit};

/// A validator type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Preset {
    pub(super) kind: &'static str,
    pub(super) way: Way,
    pub(super) event_type: &'static [Place],
    pub(super) delivery_id: &'static [Place],
    pub(super) handshake: Handshake,
    /// Keys its table takes beside secrets; `tolerance` goes with every scheme that has a timestamp.
    pub(super) options: &'static [&'static str],
    /// Headers that hold a secret beside the one that is checked.
    pub(super) carries: &'static [&'static str],
}

/// How a type decides.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// Not at all.
    Open,
    /// By a signature.
    Signed(Scheme<'static>),
    /// By a scheme that the table writes out.
    Written,
    /// By a header that is the secret; without a name, the one of the table's `header`.
    Raw(Option<&'static str>),
    /// By `Authorization: Bearer`, or where the table has `header`, by that header.
    Bearer,
    /// By `Authorization: Basic`, or where the table has `header`, by that header.
    Basic,
}

/// A [`Source`](super::Source) that can be a constant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Header(&'static str),
    Body(&'static str),
}

impl Preset {
    const fn new(kind: &'static str, way: Way) -> Self {
        Self { kind, way, event_type: &[], delivery_id: &[], handshake: Handshake::None, options: &[], carries: &[] }
    }

    const fn signed(kind: &'static str, scheme: Scheme<'static>) -> Self {
        Self::new(kind, Way::Signed(scheme))
    }

    const fn event_type(self, event_type: &'static [Place]) -> Self {
        Self { event_type, ..self }
    }

    const fn delivery_id(self, delivery_id: &'static [Place]) -> Self {
        Self { delivery_id, ..self }
    }

    const fn handshake(self, handshake: Handshake) -> Self {
        Self { handshake, ..self }
    }

    const fn options(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    const fn carries(self, carries: &'static [&'static str]) -> Self {
        Self { carries, ..self }
    }
}

/// Five minutes, as far as any provider's documentation says anything.
pub(super) const TOLERANCE: Duration = Duration::from_secs(300);

/// HMAC-SHA256 of the body in hexadecimal, nothing else in the header.
pub(super) const fn hex(header: &'static str) -> Scheme<'static> {
    Scheme {
        header,
        algorithm: Algorithm::Sha256,
        encoding: Encoding::Hex,
        prefix: "",
        list: None,
        signed: "{body}",
        timestamp: None,
        id: None,
        key: KeyForm::Bytes,
    }
}

const fn base64(header: &'static str) -> Scheme<'static> {
    Scheme { encoding: Encoding::Base64, ..hex(header) }
}

/// The form GitHub made common.
const fn hub(header: &'static str) -> Scheme<'static> {
    Scheme { prefix: "sha256=", ..hex(header) }
}

/// Gitea and its kin.
const fn gitea(header: &'static str) -> Scheme<'static> {
    Scheme { signed: "{payload}", ..hex(header) }
}

const fn commas(item: &'static str) -> List<'static> {
    List { separator: b',', item, ed25519: None }
}

const fn stamp(at: At<'static>, unit: Unit) -> Stamp<'static> {
    Stamp { at, unit, tolerance: TOLERANCE, future: true }
}

/// Standard Webhooks with the asymmetric signatures beside the symmetric ones.
const STANDARD_BOTH: Scheme<'static> =
    Scheme { list: Some(List { separator: b' ', item: "v1,", ed25519: Some("v1a,") }), ..Scheme::STANDARD_WEBHOOKS };

const GITLAB_TYPE: &[Place] = &[B("/object_kind"), B("/event_name"), H("x-gitlab-event")];

/// Every type, in the order of the documentation.
pub(super) static PRESETS: [Preset; 40] = [
    Preset::signed("github", hub("x-hub-signature-256"))
        .event_type(&[H("x-github-event")])
        .delivery_id(&[H("x-github-delivery")]),
    Preset::signed("bitbucket-cloud", hub("x-hub-signature"))
        .event_type(&[H("x-event-key")])
        .delivery_id(&[H("x-request-uuid")]),
    Preset::signed("bitbucket-server", hub("x-hub-signature"))
        .event_type(&[H("x-event-key")])
        .delivery_id(&[H("x-request-id")])
        .handshake(Handshake::BitbucketPing),
    Preset::new("gitlab", Way::Raw(Some("x-gitlab-token")))
        .event_type(GITLAB_TYPE)
        .delivery_id(&[H("idempotency-key")]),
    Preset::signed("gitlab-signed", Scheme::STANDARD_WEBHOOKS)
        .event_type(GITLAB_TYPE)
        .delivery_id(&[H("webhook-id")])
        .carries(&["x-gitlab-token"]),
    Preset::signed("gitea", gitea("x-gitea-signature"))
        .event_type(&[H("x-gitea-event")])
        .delivery_id(&[H("x-gitea-delivery")]),
    Preset::signed("forgejo", gitea("x-forgejo-signature"))
        .event_type(&[H("x-forgejo-event")])
        .delivery_id(&[H("x-forgejo-delivery")]),
    Preset::signed("gogs", gitea("x-gogs-signature"))
        .event_type(&[H("x-gogs-event")])
        .delivery_id(&[H("x-gogs-delivery")]),
    Preset::new("azure-devops", Way::Basic)
        .event_type(&[B("/eventType")])
        .delivery_id(&[B("/id")])
        .options(&["header", "user"]),
    // Gerrit shows nothing by itself. The header is set by whatever stands between it and here, a proxy or a plugin.
    Preset::new("gerrit", Way::Bearer).event_type(&[B("/type")]).options(&["header"]),
    Preset::signed("jira", hub("x-hub-signature"))
        .event_type(&[B("/webhookEvent")])
        .delivery_id(&[H("x-atlassian-webhook-identifier")]),
    Preset::signed(
        "slack",
        Scheme {
            prefix: "v0=",
            signed: "v0:{timestamp}:{body}",
            timestamp: Some(stamp(At::Header("x-slack-request-timestamp"), Unit::Seconds)),
            ..hex("x-slack-signature")
        },
    )
    .event_type(&[B("/event/type"), B("/type")])
    .delivery_id(&[B("/event_id")])
    .handshake(Handshake::Slack),
    // The key is the whole `whsec_...` text, unlike that of Standard Webhooks.
    Preset::signed(
        "stripe",
        Scheme {
            list: Some(commas("v1=")),
            signed: "{timestamp}.{body}",
            timestamp: Some(Stamp { at: At::Item("t="), unit: Unit::Seconds, tolerance: TOLERANCE, future: false }),
            ..hex("stripe-signature")
        },
    )
    .event_type(&[B("/type")])
    .delivery_id(&[B("/id")]),
    Preset::signed("shopify", base64("x-shopify-hmac-sha256"))
        .event_type(&[H("x-shopify-topic")])
        .delivery_id(&[H("x-shopify-webhook-id")]),
    Preset::signed(
        "linear",
        Scheme {
            timestamp: Some(Stamp {
                at: At::Body("/webhookTimestamp"),
                unit: Unit::Millis,
                tolerance: Duration::from_secs(60),
                future: true,
            }),
            ..hex("linear-signature")
        },
    )
    .event_type(&[H("linear-event")])
    .delivery_id(&[H("linear-delivery")]),
    Preset::signed("standard-webhooks", STANDARD_BOTH).event_type(&[B("/type")]).delivery_id(&[H("webhook-id")]),
    Preset::signed(
        "svix",
        Scheme {
            header: "svix-signature",
            timestamp: Some(stamp(At::Header("svix-timestamp"), Unit::Seconds)),
            id: Some("svix-id"),
            ..STANDARD_BOTH
        },
    )
    .event_type(&[B("/type")])
    .delivery_id(&[H("svix-id")]),
    // A later version beside `v1` is passed over and never a way around it.
    Preset::signed("circleci", Scheme { list: Some(commas("v1=")), ..hex("circleci-signature") })
        .event_type(&[H("circleci-event-type"), B("/type")])
        .delivery_id(&[B("/id")]),
    Preset::signed(
        "buildkite",
        Scheme {
            list: Some(commas("signature=")),
            signed: "{timestamp}.{body}",
            timestamp: Some(stamp(At::Item("timestamp="), Unit::Seconds)),
            ..hex("x-buildkite-signature")
        },
    )
    .event_type(&[H("x-buildkite-event")])
    .carries(&["x-buildkite-token"]),
    Preset::signed("pagerduty", Scheme { list: Some(commas("v1=")), ..hex("x-pagerduty-signature") })
        .event_type(&[B("/event/event_type")])
        .delivery_id(&[B("/event/id"), H("x-webhook-id")]),
    Preset::signed("sentry", hex("sentry-hook-signature"))
        .event_type(&[H("sentry-hook-resource")])
        .delivery_id(&[H("request-id")]),
    Preset::signed("terraform", Scheme { algorithm: Algorithm::Sha512, ..hex("x-tfe-notification-signature") })
        .event_type(&[B("/notifications/0/trigger")])
        .delivery_id(&[B("/run_id")]),
    Preset::signed("meta", hub("x-hub-signature-256"))
        .event_type(&[B("/object")])
        .handshake(Handshake::Meta)
        .options(&["verify_token"]),
    Preset::signed(
        "discord",
        Scheme {
            signed: "{timestamp}{body}",
            timestamp: Some(stamp(At::Header("x-signature-timestamp"), Unit::Seconds)),
            key: KeyForm::HexPublic,
            ..hex("x-signature-ed25519")
        },
    )
    .event_type(&[B("/event/type"), B("/type")])
    .delivery_id(&[B("/id")])
    .handshake(Handshake::Discord),
    Preset::signed(
        "twilio",
        Scheme { algorithm: Algorithm::Sha1, signed: "{url}{form}", ..base64("x-twilio-signature") },
    )
    .delivery_id(&[H("i-twilio-idempotency-token")]),
    Preset::signed("square", Scheme { signed: "{url}{body}", ..base64("x-square-hmacsha256-signature") })
        .event_type(&[B("/type")])
        .delivery_id(&[B("/event_id")]),
    // A batch has no one type; a topic may take its first event's with `event_type = { body = "/0/subscriptionType" }`.
    Preset::signed(
        "hubspot",
        Scheme {
            signed: "{method}{plain_url}{body}{timestamp}",
            timestamp: Some(stamp(At::Header("x-hubspot-request-timestamp"), Unit::Millis)),
            ..base64("x-hubspot-signature-v3")
        },
    )
    .delivery_id(&[B("/0/eventId")]),
    // `X-Zendesk-Webhook-Id` names the webhook and is the same for all it sends; the invocation is the delivery.
    Preset::signed(
        "zendesk",
        Scheme {
            signed: "{timestamp}{body}",
            timestamp: Some(stamp(At::Header("x-zendesk-webhook-signature-timestamp"), Unit::Seconds)),
            ..base64("x-zendesk-webhook-signature")
        },
    )
    .event_type(&[B("/type")])
    .delivery_id(&[H("x-zendesk-webhook-invocation-id")]),
    Preset::signed("intercom", Scheme { algorithm: Algorithm::Sha1, prefix: "sha1=", ..hex("x-hub-signature") })
        .event_type(&[B("/topic")])
        .delivery_id(&[B("/id")]),
    Preset::signed("dropbox", hex("x-dropbox-signature")).handshake(Handshake::Dropbox),
    Preset::signed("asana", hex("x-hook-signature")).handshake(Handshake::Asana).carries(&["x-hook-secret"]),
    Preset::signed("convoy", hex("x-convoy-signature")).delivery_id(&[H("x-convoy-idempotency-key")]).options(&[
        "header",
        "algorithm",
        "encoding",
    ]),
    Preset::signed(
        "convoy-advanced",
        Scheme {
            list: Some(commas("v1=")),
            signed: "{timestamp},{body}",
            timestamp: Some(stamp(At::Item("t="), Unit::Seconds)),
            ..hex("x-convoy-signature")
        },
    )
    .delivery_id(&[H("x-convoy-idempotency-key")])
    .options(&["header", "algorithm", "encoding"]),
    Preset::signed("hookdeck", base64("x-hookdeck-signature")).delivery_id(&[H("x-hookdeck-eventid")]),
    Preset::signed("outpost", Scheme { prefix: "v0=", list: Some(commas("")), ..hex("x-outpost-signature") })
        .event_type(&[H("x-outpost-topic")])
        .delivery_id(&[H("x-outpost-event-id")]),
    Preset::new("hmac", Way::Written).options(&[
        "header",
        "algorithm",
        "encoding",
        "prefix",
        "signed",
        "timestamp",
        "id",
        "tolerance",
    ]),
    Preset::new("token", Way::Raw(None)).options(&["header"]),
    Preset::new("bearer", Way::Bearer),
    Preset::new("basic", Way::Basic).options(&["user"]),
    Preset::new("none", Way::Open),
];

/// The names of [`PRESETS`].
pub(super) static KINDS: [&str; PRESETS.len()] = {
    let mut kinds = [""; PRESETS.len()];
    let mut at = 0;
    while at < kinds.len() {
        kinds[at] = PRESETS[at].kind;
        at += 1;
    }
    kinds
};

/// What is missing, with the signature headers of other schemes that are there: most often the wrong type was chosen.
pub(super) fn explained(mut rejection: Rejection, headers: &HeaderMap) -> Rejection {
    if rejection.label == "missing" {
        let mut others: Vec<_> = PRESETS
            .iter()
            .filter_map(|preset| match preset.way {
                Way::Signed(scheme) => Some(scheme.header),
                Way::Raw(header) => header,
                _ => None,
            })
            .filter(|header| headers.contains_key(*header))
            .collect();
        others.sort_unstable();
        others.dedup();
        if !others.is_empty() {
            rejection.reason = format!("{}; there is `{}`", rejection.reason, others.join("`, `"));
        }
    }
    rejection
}
