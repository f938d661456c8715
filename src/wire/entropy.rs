//! How much randomness a series of codes or tokens can carry at most, estimated from samples.
//!
//! One sample says nothing: a long constant looks random. So several are laid side by side, what is the same in all of them does not
//! count, and every other character counts with the size of the alphabet it seems to come from. The estimate is an upper bound: time
//! stamps, counters and ciphertext inside a longer value look like random characters.

use std::collections::{BTreeSet, HashSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// An estimate above this many bits is cut down to it; more would pretend a precision that samples cannot give.
pub const CAP: f64 = 1024.0;

/// What the samples look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Nothing known.
    Opaque,
    /// Signed JWTs: protected by the signature; their randomness cannot be told from structure.
    Jwt,
    /// Encrypted JWTs: ciphertext looks random whatever is inside.
    Jwe,
    /// Random UUIDs (version 4): 122 random bits.
    UuidV4,
}

/// What the samples tell. Holds nothing of the samples themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Number of samples.
    pub samples: usize,
    /// Bytes of the shortest sample.
    pub min_len: usize,
    /// Bytes of the longest sample.
    pub max_len: usize,
    /// Characters that differ between samples.
    pub varying: usize,
    /// Name of the smallest usual alphabet that holds all of them.
    pub alphabet: String,
    /// Symbols a varying character is counted with: the size of that alphabet, or what was seen where that is far less than chance allows.
    pub symbols: usize,
    /// Random bits at most, one decimal.
    pub bits: f64,
    /// Samples that equal an earlier one.
    pub repeats: usize,
    /// The samples count up or down.
    pub sequential: bool,
    /// What they look like.
    pub shape: Shape,
}

impl Default for Estimate {
    fn default() -> Self {
        estimate::<&str>(&[])
    }
}

/// Estimates the randomness of samples, in the order they were received.
pub fn estimate<S: AsRef<str>>(samples: &[S]) -> Estimate {
    let samples: Vec<&str> = samples.iter().map(AsRef::as_ref).collect();
    let unique: HashSet<&str> = samples.iter().copied().collect();
    let mut columns = Vec::new();
    split(&samples, &mut columns);
    let varying: Vec<&Column> = columns.iter().filter(|column| column.seen.len() > 1).collect();
    let seen: BTreeSet<u8> = varying.iter().flat_map(|column| column.seen.iter().copied()).collect();
    let characters = varying.len() * samples.len();
    let (alphabet, size) = alphabet(&seen);
    let symbols = if below_chance(seen.len(), size, characters) { seen.len() } else { size };
    let bits: f64 = varying.iter().map(|column| log2(if column.uuid_variant { 4 } else { symbols.max(1) })).sum();
    Estimate {
        samples: samples.len(),
        min_len: samples.iter().map(|sample| sample.len()).min().unwrap_or(0),
        max_len: samples.iter().map(|sample| sample.len()).max().unwrap_or(0),
        varying: varying.len(),
        alphabet: alphabet.to_owned(),
        symbols,
        bits: (bits.min(CAP) * 10.0).round() / 10.0,
        repeats: samples.len() - unique.len(),
        sequential: sequential(&samples),
        shape: shape(&samples),
    }
}

/// One position, over all samples.
#[derive(Debug, Default)]
struct Column {
    seen: BTreeSet<u8>,
    /// The position of a UUID that holds its variant: two random bits.
    uuid_variant: bool,
}

/// Lays samples of one length side by side. Others are cut at their dots where all have as many, else the ends they share are taken off
/// and only as many characters are counted as the shortest rest has.
fn split(samples: &[&str], columns: &mut Vec<Column>) {
    let Some(first) = samples.first() else { return };
    if samples.iter().all(|sample| sample.len() == first.len()) {
        let variants: Vec<usize> =
            uuids(first).into_iter().filter(|at| samples.iter().all(|sample| uuid_at(sample, *at))).map(|at| at + 19).collect();
        columns.extend((0..first.len()).map(|at| Column {
            seen: samples.iter().filter_map(|sample| sample.as_bytes().get(at).copied()).collect(),
            uuid_variant: variants.contains(&at),
        }));
        return;
    }
    let parts: Vec<Vec<&str>> = samples.iter().map(|sample| sample.split('.').collect()).collect();
    let count = parts.first().map_or(0, Vec::len);
    if count > 1 && parts.iter().all(|parts| parts.len() == count) {
        for at in 0..count {
            let part: Vec<&str> = parts.iter().filter_map(|parts| parts.get(at).copied()).collect();
            split(&part, columns);
        }
        return;
    }
    let middles = middles(samples);
    let shortest = middles.iter().map(|middle| middle.len()).min().unwrap_or(0);
    let seen: BTreeSet<u8> = middles.iter().flat_map(|middle| middle.iter().copied()).collect();
    columns.extend((0..shortest).map(|_| Column { seen: seen.clone(), uuid_variant: false }));
}

/// The samples without the beginning and the end that all of them share.
fn middles<'a>(samples: &[&'a str]) -> Vec<&'a [u8]> {
    let bytes: Vec<&[u8]> = samples.iter().map(|sample| sample.as_bytes()).collect();
    let shortest = bytes.iter().map(|bytes| bytes.len()).min().unwrap_or(0);
    let same = |at: &dyn Fn(&[u8]) -> Option<u8>| {
        let mut values = bytes.iter().map(|bytes| at(bytes));
        let first = values.next().flatten();
        values.all(|value| value == first)
    };
    let prefix = (0..shortest).take_while(|at| same(&|bytes| bytes.get(*at).copied())).count();
    let suffix = (1..=shortest - prefix).take_while(|back| same(&|bytes| bytes.get(bytes.len() - back).copied())).count();
    bytes.iter().map(|bytes| bytes.get(prefix..bytes.len() - suffix).unwrap_or_default()).collect()
}

fn log2(symbols: usize) -> f64 {
    f64::from(u32::try_from(symbols).unwrap_or(u32::MAX)).log2()
}

type Holds = fn(&u8) -> bool;

/// Usual alphabets, the smallest first.
const ALPHABETS: [(&str, usize, Holds); 10] = [
    ("digits", 10, u8::is_ascii_digit),
    ("lower-case hexadecimal", 16, |byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte)),
    ("upper-case hexadecimal", 16, |byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte)),
    ("base32", 32, |byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(byte)),
    ("lower-case base32", 32, |byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(byte)),
    ("digits and lower-case letters", 36, |byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()),
    ("digits and upper-case letters", 36, |byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()),
    ("letters and digits", 62, u8::is_ascii_alphanumeric),
    ("base64url", 64, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')),
    ("base64", 64, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')),
];

fn alphabet(seen: &BTreeSet<u8>) -> (&'static str, usize) {
    if seen.is_empty() {
        return ("none", 1);
    }
    ALPHABETS.iter().find(|(_, _, holds)| seen.iter().all(holds)).map_or(("printable", 94), |(name, size, _)| (*name, *size))
}

/// So many characters drawn evenly from the alphabet would show far more symbols than these.
fn below_chance(seen: usize, size: usize, characters: usize) -> bool {
    let as_f64 = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let expected = as_f64(size) * (1.0 - (1.0 - 1.0 / as_f64(size)).powf(as_f64(characters)));
    as_f64(seen) < 0.7 * expected
}

fn sequential(samples: &[&str]) -> bool {
    // Fewer say nothing, and longer numbers than these are not counters.
    if samples.len() < 4 {
        return false;
    }
    let middles = middles(samples);
    [10, 16].into_iter().any(|radix| {
        let numbers: Option<Vec<i128>> =
            middles.iter().map(|middle| i128::from_str_radix(std::str::from_utf8(middle).ok()?, radix).ok()).collect();
        let Some(numbers) = numbers else { return false };
        let steps: Vec<i128> = numbers.windows(2).filter_map(|pair| pair.last()?.checked_sub(*pair.first()?)).collect();
        let small = |step: &i128| (1..=1_000_000).contains(&step.abs());
        steps.len() + 1 == numbers.len()
            && steps.iter().all(small)
            && (steps.iter().all(|step| *step > 0) || steps.iter().all(|step| *step < 0))
    })
}

fn shape(samples: &[&str]) -> Shape {
    let all = |test: &dyn Fn(&str) -> bool| !samples.is_empty() && samples.iter().all(|sample| test(sample));
    if all(&|sample| sample.len() == 36 && uuid_at(sample, 0)) {
        Shape::UuidV4
    } else if all(&|sample| jose(sample, 3)) {
        Shape::Jwt
    } else if all(&|sample| jose(sample, 5)) {
        Shape::Jwe
    } else {
        Shape::Opaque
    }
}

/// A compact serialisation: so many parts, the first one a JSON object with `alg`.
fn jose(sample: &str, count: usize) -> bool {
    let parts: Vec<&str> = sample.split('.').collect();
    let header = parts.first().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let header = header.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    parts.len() == count && header.is_some_and(|header| header.get("alg").is_some())
}

/// Where version 4 UUIDs begin, without overlaps.
fn uuids(sample: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + 36 <= sample.len() {
        if uuid_at(sample, at) {
            found.push(at);
            at += 36;
        } else {
            at += 1;
        }
    }
    found
}

/// Is there a version 4 UUID (RFC 9562 5.4) from this byte on?
fn uuid_at(sample: &str, at: usize) -> bool {
    sample.as_bytes().get(at..at + 36).is_some_and(|bytes| {
        bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            14 => *byte == b'4',
            19 => matches!(byte.to_ascii_lowercase(), b'8' | b'9' | b'a' | b'b'),
            _ => byte.is_ascii_hexdigit(),
        })
    })
}

#[cfg(test)]
#[path = "entropy_tests.rs"]
mod tests;
