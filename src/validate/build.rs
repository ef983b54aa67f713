//! From a validator's table to a [`Validator`]: what each type takes, and every problem at once.

use http::HeaderName;
use http::header::AUTHORIZATION;

use super::handshake::Handshake;
use super::presets::{KINDS, PRESETS, Place, Preset, TOLERANCE, Way, hex};
use super::token::{Shape, Token};
use super::{BuildError, Decide, Options, Source, Validator};
use crate::json::Pointer;
use crate::secret::Key;
use crate::signature::{At, Engine, Scheme, Stamp, Unit};

pub(super) fn build(kind: &str, options: &Options, keys: Vec<Key>) -> Result<Validator, Vec<BuildError>> {
    let Some(preset) = PRESETS.iter().find(|preset| preset.kind == kind) else {
        return Err(vec![unknown(kind)]);
    };
    let mut errors = refused(preset, options);
    match (matches!(preset.way, Way::Open), keys.is_empty()) {
        (true, false) => errors.push(
            BuildError::new("secret", "`none` checks nothing and takes no secret")
                .hint("leave the secret out, or name the type that checks it"),
        ),
        (false, true) => errors.push(
            BuildError::new("secret", format!("`{kind}` needs a secret"))
                .hint("add `secret = { env = \"NAME\" }` or `secret = { file = \"PATH\" }`"),
        ),
        _ => {}
    }
    // A token that Meta shows in its handshake: one of its own, or any of the secrets.
    let challenge_tokens = match (preset.handshake, &options.verify_token) {
        (Handshake::Meta, Some(token)) => vec![token.clone()],
        (Handshake::Meta, None) => keys.iter().map(|key| key.secret.clone()).collect(),
        _ => Vec::new(),
    };
    let decide = decide(preset, options, keys).unwrap_or_else(|more| {
        errors.extend(more);
        Decide::Open
    });
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut secret_headers: Vec<_> = preset.carries.iter().map(|name| HeaderName::from_static(name)).collect();
    if let Decide::Token(token) = &decide {
        secret_headers.push(token.header().clone());
    }
    let mut delivery_id = sources(preset.delivery_id);
    if let (Way::Written, Some(id)) = (preset.way, &options.id) {
        delivery_id.push(id.clone());
    }
    Ok(Validator {
        kind: preset.kind,
        decide,
        handshake: preset.handshake,
        event_type: sources(preset.event_type),
        delivery_id,
        secret_headers,
        challenge_tokens,
        secrets: Vec::new(),
    })
}

fn sources(places: &[Place]) -> Vec<Source> {
    let source = |place: &Place| match place {
        Place::Header(name) => Source::Header(HeaderName::from_static(name)),
        Place::Body(pointer) => Source::Body(Pointer::parse(pointer).expect("a constant that is one")),
    };
    places.iter().map(source).collect()
}

fn unknown(kind: &str) -> BuildError {
    let near = KINDS.iter().map(|known| (strsim::jaro_winkler(kind, known), known)).max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match near {
        Some((likeness, known)) if likeness > 0.8 => format!("did you mean `{known}`?"),
        _ => format!("one of {}", KINDS.join(", ")),
    };
    BuildError::new("type", format!("there is no validator `{kind}`")).hint(hint)
}

/// The keys that are there and that this type does not take.
fn refused(preset: &Preset, options: &Options) -> Vec<BuildError> {
    let given = [
        ("header", options.header.is_some()),
        ("algorithm", options.algorithm.is_some()),
        ("encoding", options.encoding.is_some()),
        ("prefix", options.prefix.is_some()),
        ("signed", options.signed.is_some()),
        ("timestamp", options.timestamp.is_some()),
        ("id", options.id.is_some()),
        ("tolerance", options.tolerance.is_some()),
        ("user", options.user.is_some()),
        ("verify_token", options.verify_token.is_some()),
    ];
    let clocked = matches!(preset.way, Way::Signed(Scheme { timestamp: Some(_), .. }));
    let takes = |key: &str| preset.options.contains(&key) || (key == "tolerance" && clocked);
    given
        .into_iter()
        .filter(|(key, there)| *there && !takes(key))
        .map(|(key, _)| {
            let error = BuildError::new(key, format!("`{}` takes no `{key}`", preset.kind));
            match preset.way {
                Way::Signed(_) => error.hint("the provider's scheme is fixed; `type = \"hmac\"` takes one of your own"),
                _ => error.hint("leave it out"),
            }
        })
        .collect()
}

fn decide(preset: &Preset, options: &Options, keys: Vec<Key>) -> Result<Decide, Vec<BuildError>> {
    let mut errors = Vec::new();
    let header = options.header.clone();
    let user = options.user.as_deref();
    let decided = match (preset.way, header) {
        (Way::Open, _) => Ok(Decide::Open),
        (Way::Raw(None), None) => Err(vec![no_header(preset)]),
        (Way::Raw(Some(name)), _) => token(HeaderName::from_static(name), Shape::Raw, None, keys),
        (Way::Raw(None) | Way::Bearer, Some(header)) => token(header, Shape::Raw, None, keys),
        (Way::Bearer, None) => token(AUTHORIZATION, Shape::Bearer, None, keys),
        (Way::Basic, None) => token(AUTHORIZATION, Shape::Basic, user, keys),
        (Way::Basic, Some(header)) => {
            if user.is_some() {
                errors.push(
                    BuildError::new("user", "a header of its own holds the secret alone")
                        .hint("leave out `user`, or `header`"),
                );
            }
            token(header, Shape::Raw, None, keys)
        }
        (Way::Signed(scheme), _) => signature(scheme, options, keys, &mut errors),
        (Way::Written, _) => signature(written(preset, options, &mut errors), options, keys, &mut errors),
    };
    match decided {
        Ok(decided) if errors.is_empty() => Ok(decided),
        decided => {
            errors.extend(decided.err().into_iter().flatten());
            Err(errors)
        }
    }
}

fn token(header: HeaderName, shape: Shape, user: Option<&str>, keys: Vec<Key>) -> Result<Decide, Vec<BuildError>> {
    Token::new(header, shape, user, keys).map(Decide::Token)
}

fn signature<'a>(
    mut scheme: Scheme<'a>,
    options: &'a Options,
    keys: Vec<Key>,
    errors: &mut Vec<BuildError>,
) -> Result<Decide, Vec<BuildError>> {
    if let Some(header) = &options.header {
        scheme.header = header.as_str();
    }
    scheme.algorithm = options.algorithm.unwrap_or(scheme.algorithm);
    scheme.encoding = options.encoding.unwrap_or(scheme.encoding);
    if let (Some(stamp), Some(tolerance)) = (&mut scheme.timestamp, options.tolerance) {
        if tolerance.is_zero() {
            errors.push(BuildError::new("tolerance", "nothing arrives in no time").hint("such as \"5m\""));
        }
        stamp.tolerance = tolerance;
    }
    let url = options.public_url.as_deref();
    if url.is_some_and(|url| !is_origin(url)) {
        errors.push(
            BuildError::new("public_url", "it is not a scheme and a host")
                .hint("such as `https://hooks.example.com`, without a path"),
        );
    }
    Engine::new(&scheme, keys, url).map(|engine| Decide::Signature(Box::new(engine)))
}

fn is_origin(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.trim_end_matches('/')).unwrap_or_default();
    !authority.is_empty() && !authority.contains(['/', '?', '#', ' '])
}

fn no_header(preset: &Preset) -> BuildError {
    BuildError::new("header", format!("`{}` needs the name of a header", preset.kind))
        .hint("add `header = \"x-...\"`, the one that the sender sets")
}

/// The scheme of a table that writes out its own. After an error it is one that causes no further errors.
fn written<'a>(preset: &Preset, options: &'a Options, errors: &mut Vec<BuildError>) -> Scheme<'a> {
    if options.header.is_none() {
        errors.push(no_header(preset));
    }
    if options.timestamp.is_none() && options.tolerance.is_some() {
        errors.push(
            BuildError::new("tolerance", "there is no timestamp to apply it to")
                .hint("add `timestamp = { header = \"...\" }`"),
        );
    }
    let id = options.id.as_ref().map(|source| match source {
        Source::Header(name) => name.as_str(),
        Source::Body(_) => {
            errors.push(
                BuildError::new("id", "a signed id has to be in a header: the body is not read before it is verified")
                    .hint("leave it out: the body, which holds it, is signed"),
            );
            "x-id"
        }
    });
    let timestamp = options.timestamp.as_ref().map(|source| Stamp {
        at: match source {
            Source::Header(name) => At::Header(name.as_str()),
            Source::Body(pointer) => At::Body(pointer.as_str()),
        },
        unit: Unit::Either,
        tolerance: TOLERANCE,
        future: true,
    });
    Scheme {
        prefix: options.prefix.as_deref().unwrap_or_default(),
        signed: options.signed.as_deref().unwrap_or("{body}"),
        timestamp,
        id,
        ..hex("x-signature")
    }
}
