//! What counts where the file says nothing, and how far a value may go.

use std::ops::RangeInclusive;
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const MILLISECOND: Duration = Duration::from_millis(1);

/// `ingress.listen`.
pub const INGRESS_LISTEN: &str = "127.0.0.1:8080";
/// `ingress.base_path`.
pub const BASE_PATH: &str = "/api/events";
/// `ingress.max_body`, in bytes: the most GitHub sends.
pub const MAX_BODY: u64 = 25 * MIB;
/// `ingress.max_body_memory`, in bytes.
pub const MAX_BODY_MEMORY: u64 = 256 * MIB;
/// `ingress.header_timeout`.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// `ingress.body_timeout`.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// `ingress.max_connections`.
pub const MAX_CONNECTIONS: u64 = 8192;
/// `ingress.drain_timeout`.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// `admin.listen`.
pub const ADMIN_LISTEN: &str = "127.0.0.1:8081";
/// `admin.rejections.keep`.
pub const REJECTIONS: u64 = 100;
/// `admin.rejections.bodies`, in bytes.
pub const REJECTED_BODY: u64 = 64 * KIB;
/// `journal.path`.
pub const JOURNAL_PATH: &str = "/var/lib/forebay";
/// `journal.retain.age`.
pub const RETAIN_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// `journal.retain.size`, in bytes.
pub const RETAIN_SIZE: u64 = 10 * GIB;
/// `journal.min_free`, in bytes.
pub const MIN_FREE: u64 = 256 * MIB;
/// `dedupe` of a topic.
pub const DEDUPE: Duration = DAY;
/// `rotate.size` of a file sink with a `rotate` table, in bytes.
pub const ROTATE_SIZE: u64 = 100 * MIB;
/// `rotate.keep` of a file sink with a `rotate` table.
pub const ROTATE_KEEP: u64 = 10;
/// `backstage.notify_timeout`: as Backstage's own.
pub const NOTIFY_TIMEOUT: Duration = Duration::from_secs(55);
/// `backstage.forget_idle`.
pub const FORGET_IDLE: Duration = DAY;
/// `timeout` of a webhook.
pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// `concurrency` of a webhook.
pub const WEBHOOK_CONCURRENCY: u64 = 8;
/// `give_up_on` of a webhook: what a receiver answers that will never take this request.
pub const GIVE_UP_ON: [u16; 5] = [400, 410, 413, 415, 422];

/// `otlp.sample`.
pub const OTLP_SAMPLE: f64 = 1.0;
/// `otlp.rate`.
pub const OTLP_RATE: u64 = 100;
/// `otlp.service_name`.
pub const OTLP_SERVICE_NAME: &str = "forebay";

/// A body. The journal counts a record's length in 32 bits.
pub const MAX_BODY_RANGE: RangeInclusive<u64> = 1..=GIB;
/// All bodies together.
pub const MAX_BODY_MEMORY_RANGE: RangeInclusive<u64> = 64 * KIB..=1024 * GIB;
/// A time to wait for a peer.
pub const TIMEOUT_RANGE: RangeInclusive<Duration> = MILLISECOND..=HOUR;
/// Open connections.
pub const MAX_CONNECTIONS_RANGE: RangeInclusive<u64> = 1..=1_000_000;
/// Refused requests that are kept.
pub const REJECTIONS_RANGE: RangeInclusive<u64> = 0..=10_000;
/// How much of the body of one is kept.
pub const REJECTED_BODY_RANGE: RangeInclusive<u64> = 0..=MIB;
/// A time to keep something.
pub const KEEP_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(100 * YEAR.as_secs());
/// The journal's size.
pub const RETAIN_SIZE_RANGE: RangeInclusive<u64> = MIB..=1 << 50;
/// Free space that is left alone.
pub const MIN_FREE_RANGE: RangeInclusive<u64> = 0..=1 << 50;
/// How far a timestamp may be off.
pub const TOLERANCE_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=DAY;
/// The size at which a file is put aside.
pub const ROTATE_SIZE_RANGE: RangeInclusive<u64> = KIB..=1 << 50;
/// A time after which a subscription nobody reads is forgotten.
pub const FORGET_IDLE_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=YEAR;
/// Old files that are kept.
pub const ROTATE_KEEP_RANGE: RangeInclusive<u64> = 0..=10_000;
/// Attempts under way at once.
pub const CONCURRENCY_RANGE: RangeInclusive<u64> = 1..=1024;
/// Statuses of an answer that is not a success.
pub const STATUS_RANGE: RangeInclusive<u64> = 300..=599;
/// Delays between attempts.
pub const RETRY_RANGE: RangeInclusive<Duration> = MILLISECOND..=Duration::from_secs(30 * DAY.as_secs());
/// Attempts at one delivery.
pub const ATTEMPTS_RANGE: RangeInclusive<u64> = 1..=10_000;
/// The age at which a delivery is given up.
pub const MAX_AGE_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=YEAR;

/// Spans of one kind in a second.
pub const OTLP_RATE_RANGE: RangeInclusive<u64> = 1..=1_000_000;

/// A timeout above this on the request path is more likely a mistake than meant.
pub const LONG_TIMEOUT: Duration = Duration::from_secs(10 * MINUTE.as_secs());
