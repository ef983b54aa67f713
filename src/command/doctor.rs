//! `doctor`: why was this request refused?

use super::client::encoded;
use super::failure::Failure;
use super::screen::{Screen, Style};
use super::session::Session;
use super::sheet::Sheet;
use super::table::{Cell, Column, Table};
use super::words;
use crate::api::rejections::{Rejection, RejectionSummary, Rejections};
use crate::cli::operate::DoctorArgs;
use crate::sink::readable;

/// The most lines of the request's body, and the most characters of each.
const BODY: (usize, usize) = (40, 500);

/// Does what `doctor` was told.
pub(super) async fn run(session: &Session, args: &DoctorArgs) -> Result<(), Failure> {
    if args.list {
        let answer = last(session, args, args.limit).await?;
        return session.show(&answer, |answer: &Rejections, screen| table(&answer.rejections, screen));
    }
    let id = if let Some(id) = &args.id {
        id.clone()
    } else {
        let answer = last(session, args, 1).await?;
        match answer.read::<Rejections>()?.rejections.into_iter().next() {
            Some(newest) => newest.id,
            None if session.json => return session.screen.print("null"),
            None => return session.screen.print(NOTHING),
        }
    };
    let answer = session.client.get(&format!("rejections/{}", encoded(&id)), &[]).await?;
    session.show(&answer, text)
}

const NOTHING: &str = "nothing was refused that the daemon remembers";

async fn last(session: &Session, args: &DoctorArgs, limit: u32) -> Result<super::client::Answer, Failure> {
    let limit = limit.to_string();
    session.client.get("rejections", &[("topic", args.topic.as_deref()), ("limit", Some(&limit))]).await
}

/// Refused requests as a table.
pub(super) fn table(rejections: &[RejectionSummary], screen: &Screen) -> String {
    if rejections.is_empty() {
        return NOTHING.into();
    }
    let mut table = Table::new([
        Column::new("ID"),
        Column::right("REFUSED"),
        Column::flexible("TOPIC", 10),
        Column::flexible("CLIENT", 9),
        Column::right("STATUS"),
        Column::flexible("WHY", 8),
        Column::flexible("REASON", 14),
    ]);
    for rejection in rejections {
        table.row([
            Cell::from(&rejection.id),
            words::age(&rejection.time, screen.now).into(),
            Some(rejection.topic.as_str()).filter(|topic| !topic.is_empty()).into(),
            rejection.client.as_deref().into(),
            rejection.status.to_string().into(),
            (&rejection.label).into(),
            (&rejection.reason).into(),
        ]);
    }
    table.lines(screen)
}

/// One refused request, and what is wrong with it.
pub(super) fn text(rejection: &Rejection, screen: &Screen) -> String {
    let mut sheet = Sheet::new(screen);
    let summary = &rejection.summary;
    sheet.heading(&format!("refused request {}", summary.id));
    let topic = if summary.topic.is_empty() { "none of this name" } else { &summary.topic };
    let mut fields = vec![
        ("request", format!("{} {}", rejection.summary.method, rejection.summary.target)),
        ("topic", topic.to_owned()),
        ("from", summary.client.clone().unwrap_or_else(|| "a unix socket".into())),
        ("received", words::moment(&summary.time, screen.now)),
        ("answered", summary.status.to_string()),
        ("reason", format!("{} ({})", summary.reason, summary.label)),
    ];
    if let Some(bytes) = rejection.body_bytes {
        fields.push(("body", words::size(bytes)));
    }
    sheet.fields(&fields);
    sheet.heading("headers");
    sheet.fields(&rejection.headers.iter().collect::<Vec<_>>());
    if let Some(body) = &rejection.body {
        sheet.heading("body");
        let kind = rejection.headers.get("content-type").map(String::as_str);
        let (lines, more) = readable::lay_out(kind, body.as_bytes(), BODY.0, BODY.1);
        for line in &lines {
            sheet.line(2, line, Style::Plain);
        }
        if more {
            sheet.line(2, "…", Style::Faint);
        }
    }
    sheet.heading("findings");
    if rejection.findings.is_empty() {
        sheet.line(2, "none: nothing that was tried would have matched", Style::Faint);
    }
    for (at, finding) in rejection.findings.iter().enumerate() {
        let number = format!("{}. ", at + 1);
        sheet.parts(2, &[(&number, Style::Plain), (&finding.found, Style::Strong)]);
        sheet.line(5, &finding.change, Style::Plain);
        sheet.line(5, &finding.fault, Style::Faint);
    }
    sheet.done()
}
