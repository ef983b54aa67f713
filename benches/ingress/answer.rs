//! Just enough of an HTTP/1.1 answer to know its status, and where it ends.

/// One whole answer at the start of some bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Bytes of head and body together.
    pub(crate) len: usize,
    /// The server closes the connection after it.
    pub(crate) closes: bool,
}

/// The answer that `bytes` begin with, or nothing if more must be read.
///
/// # Errors
/// When they cannot be the start of an answer that states its length.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Answer>, String> {
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let strange = || format!("not an answer: {}", String::from_utf8_lossy(&bytes[..head.min(80)]));
    let mut lines = bytes[..head].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix(b"HTTP/1.1 "))
        .and_then(|rest| std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok())
        .ok_or_else(strange)?;
    let (mut length, mut closes) = (None, false);
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Err(strange()) };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            length = std::str::from_utf8(value).ok().and_then(|text| text.parse::<usize>().ok());
        } else if name.eq_ignore_ascii_case(b"connection") {
            closes = value.eq_ignore_ascii_case(b"close");
        }
    }
    let len = head + 4 + length.ok_or_else(|| format!("status {status} without `content-length`"))?;
    Ok((bytes.len() >= len).then_some(Answer { status, len, closes }))
}
