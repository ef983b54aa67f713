-- What the first format of the state looks like, written down by a program of its own: its tables, a subscriber `ci` that
-- owes two deliveries and has a dead letter, and their checksums as that format defines them.
CREATE TABLE cursors (
    subscriber TEXT PRIMARY KEY,
    next INTEGER NOT NULL,
    begun INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE deliveries (
    subscriber TEXT NOT NULL,
    seq INTEGER NOT NULL,
    id BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    due INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    suspect INTEGER NOT NULL,
    reason TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (subscriber, seq)
) WITHOUT ROWID;
CREATE INDEX deliveries_by_seq ON deliveries (seq);
CREATE TABLE attempts (
    subscriber TEXT NOT NULL,
    seq INTEGER NOT NULL,
    number INTEGER NOT NULL,
    time INTEGER NOT NULL,
    label TEXT NOT NULL,
    reason TEXT NOT NULL,
    status INTEGER,
    answer BLOB NOT NULL,
    PRIMARY KEY (subscriber, seq, number)
) WITHOUT ROWID;
CREATE TABLE kept (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    time INTEGER NOT NULL,
    topic TEXT NOT NULL,
    type TEXT,
    delivery_id TEXT,
    headers BLOB NOT NULL,
    body BLOB NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE barrier (one INTEGER PRIMARY KEY, turn INTEGER NOT NULL);
INSERT INTO barrier VALUES (1, 1);
PRAGMA user_version = 1;
INSERT INTO cursors VALUES ('ci', 40, 64, 2, 3, 1043735313);
INSERT INTO deliveries VALUES ('ci', 11, x'01935a5a00007000800000000000000b', 3, 1764000000000, 0, 0, '500 Internal Server Error', 1162583723);
INSERT INTO deliveries VALUES ('ci', 12, x'01935a5a00007000800000000000000c', 3, 1764000000000, 0, 1, '500 Internal Server Error', 2734302566);
INSERT INTO deliveries VALUES ('ci', 13, x'01935a5a00007000800000000000000d', 3, 1764000000000, 1, 0, '500 Internal Server Error', 1921278520);
INSERT INTO attempts VALUES ('ci', 11, 1, 7, 'http_status', '500', 500, x'6e6f');
