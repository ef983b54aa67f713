//! Requests whose end two readers may see in different places.

/// What it is, its framing headers, its body, and what must come of it.
///
/// In both, `{inner}` is a whole request to the topic `smuggled`, `{hex}` its length in hexadecimal, and `{len}` the length
/// of the body.
pub type Case = (&'static str, &'static str, &'static str, Fate);

/// What must come of a case. Whatever it is, the inner request is not taken for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is refused, and nothing after it on the connection is read.
    Refused,
    /// It is taken, and so is the next request.
    Taken,
    /// It is taken, and the connection closed behind it.
    Last,
}
use Fate::{Last, Refused, Taken};

const CL0: &str = "0\r\n\r\n{inner}";
const CHUNK: &str = "{hex}\r\n{inner}\r\n0\r\n\r\n";

pub const CASES: &[Case] = &[
    // The corpus notices what it is there to notice: these are sound.
    ("plain length", "Content-Length: {len}\r\n", "{inner}", Taken),
    ("plain chunk", "Transfer-Encoding: chunked\r\n", CHUNK, Taken),
    ("length and padding", "Content-Length:   {len}\t \r\n", "{inner}", Taken),
    ("leading zeros", "Content-Length: 000{len}\r\n", "{inner}", Taken),
    // Both framings.
    ("length, then chunked", "Content-Length: {len}\r\nTransfer-Encoding: chunked\r\n", CL0, Last),
    ("chunked, then length", "Transfer-Encoding: chunked\r\nContent-Length: {len}\r\n", CL0, Last),
    ("short length, then chunked", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", CHUNK, Last),
    ("chunked, then short length", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", CHUNK, Last),
    ("chunked, then length 0", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", CHUNK, Last),
    (
        "length twice around chunked",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        CHUNK,
        Last,
    ),
    ("bad length and chunked", "Content-Length: x\r\nTransfer-Encoding: chunked\r\n", CHUNK, Refused),
    ("length and identity", "Content-Length: {len}\r\nTransfer-Encoding: identity\r\n", CL0, Refused),
    // Lengths.
    ("two lengths, short first", "Content-Length: 0\r\nContent-Length: {len}\r\n", "{inner}", Refused),
    ("two lengths, long first", "Content-Length: {len}\r\nContent-Length: 0\r\n", "{inner}", Refused),
    ("two lengths in one", "Content-Length: {len}, 0\r\n", "{inner}", Refused),
    ("the same length in one", "Content-Length: {len}, {len}\r\n", "{inner}", Refused),
    ("plus", "Content-Length: +{len}\r\n", "{inner}", Refused),
    ("minus", "Content-Length: -{len}\r\n", "{inner}", Refused),
    ("hexadecimal", "Content-Length: 0x{hex}\r\n", "{inner}", Refused),
    ("empty length", "Content-Length: \r\n", "{inner}", Refused),
    ("exponent", "Content-Length: 1e2\r\n", "{inner}", Refused),
    ("fraction", "Content-Length: {len}.0\r\n", "{inner}", Refused),
    ("underscore", "Content-Length: 1_00\r\n", "{inner}", Refused),
    ("space inside", "Content-Length: 1 00\r\n", "{inner}", Refused),
    ("beyond 64 bits", "Content-Length: 18446744073709551616\r\n", "{inner}", Refused),
    ("length in quotes", "Content-Length: \"{len}\"\r\n", "{inner}", Refused),
    ("length with NUL", "Content-Length: {len}\0\r\n", "{inner}", Refused),
    ("length with vertical tab", "Content-Length: \x0b{len}\r\n", "{inner}", Refused),
    ("length in other digits", "Content-Length: \u{661}\u{660}\r\n", "{inner}", Refused),
    ("space before colon", "Content-Length : {len}\r\n", "{inner}", Refused),
    ("tab before colon", "Content-Length\t: {len}\r\n", "{inner}", Refused),
    ("folded length", "Content-Length:\r\n {len}\r\n", "{inner}", Refused),
    ("folded into the line before", "X-A: b\r\n Content-Length: {len}\r\n", "{inner}", Refused),
    ("name with NUL", "Content-\0Length: {len}\r\n", "{inner}", Refused),
    ("name with a line break", "X: y\rContent-Length: {len}\r\n", "{inner}", Refused),
    ("no name", ": x\r\nContent-Length: {len}\r\n", "{inner}", Refused),
    ("no colon", "Content-Length {len}\r\n", "{inner}", Refused),
    ("space before the first header", " Content-Length: {len}\r\n", "{inner}", Refused),
    // Transfer codings, each with a length a reader may fall back on.
    ("coding in capitals", "Transfer-Encoding: CHUNKED\r\nContent-Length: {len}\r\n", CL0, Last),
    ("coding before colon space", "Transfer-Encoding : chunked\r\nContent-Length: {len}\r\n", CL0, Refused),
    ("coding before colon tab", "Transfer-Encoding\t: chunked\r\nContent-Length: {len}\r\n", CL0, Refused),
    ("xchunked", "Transfer-Encoding: xchunked\r\nContent-Length: {len}\r\n", CL0, Refused),
    ("chunkedx", "Transfer-Encoding: chunkedx\r\nContent-Length: {len}\r\n", CL0, Refused),
    ("chunk", "Transfer-Encoding: chunk\r\nContent-Length: {len}\r\n", CL0, Refused),
    ("chunked in quotes", "Transfer-Encoding: \"chunked\"\r\nContent-Length: {len}\r\n", CL0, Refused),
    ("chunked with a parameter", "Transfer-Encoding: chunked;q=1\r\nContent-Length: {len}\r\n", CL0, Refused),
    ("chunked, then identity", "Transfer-Encoding: chunked, identity\r\nContent-Length: {len}\r\n", CL0, Refused),
    (
        "chunked, identity in lines",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: {len}\r\n",
        CL0,
        Refused,
    ),
    ("identity, chunked in lines", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", CHUNK, Refused),
    ("gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n", CHUNK, Refused),
    ("chunked twice", "Transfer-Encoding: chunked, chunked\r\n", CHUNK, Refused),
    ("chunked twice in lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", CHUNK, Refused),
    ("empty coding", "Transfer-Encoding: \r\nContent-Length: {len}\r\n", CL0, Refused),
    ("comma, chunked", "Transfer-Encoding: ,chunked\r\n", CHUNK, Refused),
    ("folded coding", "Transfer-Encoding:\r\n chunked\r\nContent-Length: {len}\r\n", CL0, Refused),
    ("vertical tab before chunked", "Transfer-Encoding: \x0bchunked\r\nContent-Length: {len}\r\n", CL0, Refused),
    ("form feed before chunked", "Transfer-Encoding: \x0cchunked\r\nContent-Length: {len}\r\n", CL0, Refused),
    ("NUL after chunked", "Transfer-Encoding: chunked\0\r\nContent-Length: {len}\r\n", CL0, Refused),
    ("a letter like k", "Transfer-Encoding: chun\u{212a}ed\r\nContent-Length: {len}\r\n", CL0, Refused),
    ("underscore for dash", "Transfer_Encoding: chunked\r\nContent-Length: {len}\r\n", CL0, Taken),
    ("another header's line", "X-A: b\r\n\tTransfer-Encoding: chunked\r\nContent-Length: {len}\r\n", CL0, Refused),
    ("in the value of another", "X-A: Transfer-Encoding: chunked\r\nContent-Length: {len}\r\n", CL0, Taken),
    ("tabs around chunked", "Transfer-Encoding:\tchunked\t\r\n", CHUNK, Taken),
    // Chunks.
    ("chunk extension", "Transfer-Encoding: chunked\r\n", "{hex};a=b\r\n{inner}\r\n0\r\n\r\n", Taken),
    ("zeros before the size", "Transfer-Encoding: chunked\r\n", "0000{hex}\r\n{inner}\r\n0\r\n\r\n", Taken),
    ("trailers", "Transfer-Encoding: chunked\r\n", "{hex}\r\n{inner}\r\n0\r\nContent-Length: 3\r\n\r\n", Taken),
    ("0x in a size", "Transfer-Encoding: chunked\r\n", "0x{hex}\r\n{inner}\r\n0\r\n\r\n", Refused),
    ("plus in a size", "Transfer-Encoding: chunked\r\n", "+{hex}\r\n{inner}\r\n0\r\n\r\n", Refused),
    ("minus in a size", "Transfer-Encoding: chunked\r\n", "-{hex}\r\n{inner}\r\n0\r\n\r\n", Refused),
    ("no size", "Transfer-Encoding: chunked\r\n", "\r\n{inner}\r\n0\r\n\r\n", Refused),
    ("space before the size", "Transfer-Encoding: chunked\r\n", " {hex}\r\n{inner}\r\n0\r\n\r\n", Refused),
    ("size beyond 64 bits", "Transfer-Encoding: chunked\r\n", "10000000000000000\r\n{inner}\r\n0\r\n\r\n", Refused),
    ("size that wraps", "Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\n{inner}\r\n0\r\n\r\n", Refused),
    ("size with a bare line feed", "Transfer-Encoding: chunked\r\n", "{hex}\n{inner}\r\n0\r\n\r\n", Refused),
    ("size with a bare return", "Transfer-Encoding: chunked\r\n", "{hex}\r{inner}\r\n0\r\n\r\n", Refused),
    ("line feed in an extension", "Transfer-Encoding: chunked\r\n", "0;\n\r\n{inner}\r\n0\r\n\r\n", Refused),
    ("chunk without its end", "Transfer-Encoding: chunked\r\n", "{hex}\r\n{inner}0\r\n\r\n", Refused),
    ("chunk with a wrong end", "Transfer-Encoding: chunked\r\n", "{hex}\r\n{inner}XX0\r\n\r\n", Refused),
    ("chunk that ends in a bare line feed", "Transfer-Encoding: chunked\r\n", "{hex}\r\n{inner}\n0\r\n\r\n", Refused),
    ("last chunk in line feeds", "Transfer-Encoding: chunked\r\n", "0\n\n{inner}", Refused),
    ("short size", "Transfer-Encoding: chunked\r\n", "1\r\n{inner}\r\n0\r\n\r\n", Refused),
    ("request for a trailer", "Transfer-Encoding: chunked\r\n", "0\r\nPOST /x HTTP/1.1\r\n\r\n", Refused),
    ("size in words", "Transfer-Encoding: chunked\r\n", "five\r\n{inner}\r\n0\r\n\r\n", Refused),
    ("NUL in a size", "Transfer-Encoding: chunked\r\n", "{hex}\0\r\n{inner}\r\n0\r\n\r\n", Refused),
];

/// Request lines and versions for an otherwise sound request with a length.
pub const LINES: &[(&str, Fate)] = &[
    ("POST http://h/api/events/http/open HTTP/1.1", Taken),
    ("POST http://h:1@i/api/events/http/open HTTP/1.1", Taken),
    ("POST /api/events/http/open HTTP/1.0", Last),
    ("POST  /api/events/http/open HTTP/1.1", Refused),
    ("POST /api/events/http/open  HTTP/1.1", Refused),
    ("POST /api/events/http/open HTTP/1.1 ", Refused),
    ("POST\t/api/events/http/open HTTP/1.1", Refused),
    ("POST /api/events/http/open HTTP/1.2", Refused),
    ("POST /api/events/http/open HTTP/2.0", Refused),
    ("POST /api/events/http/open HTTP/1.1.1", Refused),
    ("POST /api/events/http/open http/1.1", Refused),
    ("POST /api/events/http/open HTTP/01.1", Refused),
    ("POST /api/events/http/open", Refused),
    ("POST /api/events/http/open?\0 HTTP/1.1", Refused),
    ("POST api/events/http/open HTTP/1.1", Refused),
    ("P\0ST /api/events/http/open HTTP/1.1", Refused),
    ("PRI * HTTP/2.0", Refused),
];
