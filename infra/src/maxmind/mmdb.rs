//! Writes small databases for tests, after the MaxMind DB file format specification, version 2.0: 24-bit records,
//! IPv4 networks only, no pointers.

use std::net::Ipv4Addr;

/// What a record may hold.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    U32(u32),
    U64(u64),
    U16(u16),
    Map(Vec<(String, Value)>),
    Array(Vec<Value>),
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

pub(super) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

impl Value {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                control(2, text.len(), out);
                out.extend_from_slice(text.as_bytes());
            }
            Self::U16(number) => number_bytes(5, &number.to_be_bytes(), out),
            Self::U32(number) => number_bytes(6, &number.to_be_bytes(), out),
            Self::U64(number) => number_bytes(9, &number.to_be_bytes(), out),
            Self::Map(entries) => {
                control(7, entries.len(), out);
                for (name, value) in entries {
                    text(name).write(out);
                    value.write(out);
                }
            }
            Self::Array(values) => {
                control(11, values.len(), out);
                for value in values {
                    value.write(out);
                }
            }
        }
    }
}

/// The control byte: type in the upper three bits (0 when it is in the next byte, less seven), size in the lower
/// five. Sizes of 29 and more have other forms, which nothing here needs.
fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    let size = u8::try_from(size).expect("small");
    assert!(size < 29, "sizes of 29 and more are not written");
    if kind < 8 {
        out.push(kind << 5 | size);
    } else {
        out.extend([size, kind - 7]);
    }
}

fn number_bytes(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    control(kind, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// A node's record.
#[derive(Clone, Copy)]
enum Slot {
    Nothing,
    Node(usize),
    /// Offset in the data section.
    Data(usize),
}

pub(super) struct Database {
    kind: String,
    built_at_s: u64,
    ip_version: u16,
    nodes: Vec<[Slot; 2]>,
    data: Vec<u8>,
}

impl Database {
    pub(super) fn new(kind: &str, built_at_s: u64, ip_version: u16) -> Self {
        let nodes = vec![[Slot::Nothing; 2]];
        Self { kind: kind.to_owned(), built_at_s, ip_version, nodes, data: Vec::new() }
    }

    /// Adds a network, which must neither hold nor be held by one that is there.
    pub(super) fn add(&mut self, network: Ipv4Addr, prefix: u8, value: &Value) {
        // In an IPv6 tree, IPv4 addresses are the last 32 bits below 96 zeroes.
        let zeroes = if self.ip_version == 6 { 96 } else { 0 };
        let address = u32::from(network);
        let bits = (0..zeroes)
            .map(|_| 0)
            .chain((0..u32::from(prefix)).map(|i| usize::from(address >> (31 - i) & 1 == 1)));
        let mut path: Vec<usize> = bits.collect();
        let last = path.pop().expect("a network of at least one bit");
        let mut node = 0;
        for bit in path {
            node = match self.nodes[node][bit] {
                Slot::Node(next) => next,
                Slot::Data(_) => panic!("networks overlap"),
                Slot::Nothing => {
                    self.nodes.push([Slot::Nothing; 2]);
                    let next = self.nodes.len() - 1;
                    self.nodes[node][bit] = Slot::Node(next);
                    next
                }
            };
        }
        self.nodes[node][last] = Slot::Data(self.data.len());
        value.write(&mut self.data);
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let count = self.nodes.len();
        let mut out = Vec::new();
        for slot in self.nodes.iter().flatten() {
            let record = match slot {
                Slot::Nothing => count,
                Slot::Node(node) => *node,
                Slot::Data(offset) => count + 16 + offset,
            };
            out.extend_from_slice(&u32::try_from(record).expect("small").to_be_bytes()[1..]);
        }
        out.extend([0; 16]);
        out.extend_from_slice(&self.data);
        out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
        map([
            ("binary_format_major_version", Value::U16(2)),
            ("binary_format_minor_version", Value::U16(0)),
            ("build_epoch", Value::U64(self.built_at_s)),
            ("database_type", text(&self.kind)),
            ("description", map([("en", text("for tests"))])),
            ("ip_version", Value::U16(self.ip_version)),
            ("languages", Value::Array(vec![text("en")])),
            ("node_count", Value::U32(u32::try_from(count).expect("small"))),
            ("record_size", Value::U16(24)),
        ])
        .write(&mut out);
        out
    }
}
