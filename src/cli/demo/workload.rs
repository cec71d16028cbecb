//! The programs of the demo. The later version of each does one thing too often that services often do too often.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A program of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Workload {
    /// Threads that count deposits.
    Locks,
    /// Orders written as JSON and read again.
    Json,
    /// Tables that are filled again and again.
    Collections,
    /// Arithmetic.
    Arithmetic,
    /// The same, with a rule that fires.
    Alert,
}

/// A version of a program: what ran before a deploy, and what ran after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Before,
    After,
}

impl Version {
    /// The version with this label.
    pub(super) fn of_label(label: &str) -> Option<Self> {
        [Self::Before, Self::After].into_iter().find(|version| version.label() == label)
    }

    /// The value of the label `version` of its series.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Before => "1",
            Self::After => "2",
        }
    }
}

impl Workload {
    /// The programs that run side by side.
    pub(super) const ALL: [Self; 4] = [Self::Locks, Self::Json, Self::Collections, Self::Arithmetic];

    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Locks => "locks",
            Self::Json => "json",
            Self::Collections => "collections",
            Self::Arithmetic => "arithmetic",
            Self::Alert => "alert",
        }
    }

    /// The app of its profiles.
    pub(super) fn app(self) -> &'static str {
        match self {
            Self::Locks => "demo-locks",
            Self::Json => "demo-json",
            Self::Collections => "demo-collections",
            Self::Arithmetic => "demo-arithmetic",
            Self::Alert => "demo-alert",
        }
    }

    /// What a version does, for people.
    pub(super) fn about(self, version: Version) -> &'static str {
        match (self, version) {
            (Self::Locks, Version::Before) => "four threads count for themselves",
            (Self::Locks, Version::After) => "four threads fight for one lock",
            (Self::Json, Version::Before) => "orders are written as JSON and read again",
            (Self::Json, Version::After) => "the same, and every fourth page gets a checksum",
            (Self::Collections, Version::Before) => "tables are made at their full size",
            (Self::Collections, Version::After) => "tables grow and shrink, again and again",
            (Self::Arithmetic | Self::Alert, Version::Before) => "primes are counted",
            (Self::Arithmetic, Version::After) => "the same, and every prime gets a checksum",
            (Self::Alert, Version::After) => "the same, and every prime gets ten checksums",
        }
    }

    /// Its owner for the registry: team, tier and channel.
    pub(super) fn owner(self) -> [&'static str; 3] {
        match self {
            Self::Locks => ["ledger", "critical", "#ledger"],
            Self::Json => ["orders", "critical", "#orders"],
            Self::Collections => ["catalogue", "standard", "#catalogue"],
            Self::Arithmetic | Self::Alert => ["research", "standard", "#research"],
        }
    }

    /// The approved limit of one of its functions: its name, and the largest self share in percent.
    pub(super) fn limit(self) -> Option<(&'static str, f64)> {
        match self {
            Self::Json | Self::Arithmetic | Self::Alert => Some((std::any::type_name_of_val(&checksum), 2.0)),
            Self::Locks | Self::Collections => None,
        }
    }

    /// Runs for this long.
    pub(super) fn run(self, version: Version, time: Duration) {
        let end = Instant::now() + time;
        match self {
            Self::Locks => count_deposits(version, end),
            Self::Json => repeat(end, || serve_orders(version)),
            Self::Collections => repeat(end, || fill_tables(version)),
            Self::Arithmetic => repeat(end, || count_primes(version, 1)),
            // So slow that it shows within seconds, also on a busy machine.
            Self::Alert => thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| repeat(end, || count_primes(version, 10)));
                }
            }),
        }
    }
}

fn repeat(end: Instant, work: impl Fn()) {
    while Instant::now() < end {
        work();
    }
}

/// Threads that only add numbers: each for itself, or all of them to one number.
#[inline(never)]
fn count_deposits(version: Version, end: Instant) {
    let (account, over) = (Mutex::new(0_u64), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    match version {
                        Version::Before => deposit(&account, count_alone()),
                        Version::After => deposit(&account, 1),
                    }
                }
            });
        }
        thread::sleep(end.saturating_duration_since(Instant::now()));
        over.store(true, Ordering::Relaxed);
    });
}

/// How much a thread adds before it shares the sum with the others.
#[inline(never)]
fn count_alone() -> u64 {
    let mut taken = 0_u64;
    let mut left = 100_000_u32;
    while left > 0 {
        taken = black_box(taken.wrapping_add(1));
        left -= 1;
    }
    taken
}

#[inline(never)]
fn deposit(account: &Mutex<u64>, amount: u64) {
    if let Ok(mut account) = account.lock() {
        *account = black_box(account.wrapping_add(amount));
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    id: u64,
    customer: String,
    note: Option<String>,
    items: Vec<Item>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Item {
    sku: String,
    quantity: u32,
    price: f64,
    tags: BTreeMap<String, String>,
}

/// Pages of orders, written and read forty times.
#[inline(never)]
fn serve_orders(version: Version) {
    let orders: Vec<_> = (0..50).map(order).collect();
    for page in 0..40 {
        if let Ok(text) = serde_json::to_vec(&orders) {
            // The earlier version only checks the first page.
            if page == 0 || version == Version::After && page % 4 == 0 {
                black_box(checksum(&text));
            }
            let read: Result<Vec<Order>, _> = serde_json::from_slice(black_box(&text));
            black_box(read.map(|orders| orders.len()).ok());
        }
    }
}

fn order(id: u64) -> Order {
    let item = |n: u64| Item {
        sku: format!("SKU-{id}-{n}"),
        quantity: u32::try_from(n).unwrap_or(1),
        price: 9.99 * (n + 1) as f64,
        tags: [("colour", "red"), ("size", "XL")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
    };
    Order {
        id,
        customer: format!("customer \"{id}\" of the demo"),
        note: id.is_multiple_of(3).then(|| "leave it with the neighbour\n".to_owned()),
        items: (0..8).map(item).collect(),
    }
}

/// Tables of five thousand numbers: made with room for all, or made too large and shrunk, again and again.
#[inline(never)]
fn fill_tables(version: Version) {
    for _ in 0..20 {
        let mut table: HashMap<u64, u64, BuildHasherDefault<Spread>> = match version {
            Version::Before => HashMap::with_capacity_and_hasher(5_000, BuildHasherDefault::default()),
            Version::After => HashMap::default(),
        };
        for n in 0..5_000 {
            table.insert(black_box(n), n);
            if version == Version::After && n % 500 == 0 {
                table.reserve(10_000);
                table.shrink_to_fit();
            }
        }
        black_box(&table);
    }
}

/// Hashes numbers with one multiplication, so that tables cost more than hashes.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Counts primes by trial division.
#[inline(never)]
fn count_primes(version: Version, checksums: u32) {
    let mut primes = 0_u32;
    for n in 2_u64..20_000 {
        if is_prime(n) {
            primes += 1;
            if version == Version::After {
                for _ in 0..checksums {
                    black_box(checksum(&n.to_le_bytes()));
                }
            }
        }
    }
    // The earlier version makes one for all of them.
    black_box(checksum(&primes.to_le_bytes()));
}

#[inline(never)]
fn is_prime(n: u64) -> bool {
    let mut divisor = 2;
    while divisor * divisor <= n {
        if n.is_multiple_of(divisor) {
            return false;
        }
        divisor += 1;
    }
    true
}

/// A checksum (CRC-32), computed bit by bit without a table. Two of the programs share it, as services share a library.
#[inline(never)]
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        let mut bits = 8;
        while bits > 0 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 };
            bits -= 1;
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_that_everybody_knows() {
        assert_eq!(checksum(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn primes_are_told_from_other_numbers() {
        assert_eq!((2..100).filter(|n| is_prime(*n)).count(), 25);
    }
}
