//! The programs of the demo. Each does one thing that services do too much of.

use std::collections::BTreeMap;
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
    /// Threads that fight for one lock.
    Locks,
    /// Orders written as JSON and read again.
    Json,
    /// Collections that grow from nothing, again and again.
    Collections,
    /// Arithmetic.
    Arithmetic,
}

impl Workload {
    pub(super) const ALL: [Self; 4] = [Self::Locks, Self::Json, Self::Collections, Self::Arithmetic];

    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Locks => "locks",
            Self::Json => "json",
            Self::Collections => "collections",
            Self::Arithmetic => "arithmetic",
        }
    }

    /// The app that its profiles are of.
    pub(super) fn app(self) -> &'static str {
        match self {
            Self::Locks => "demo-locks",
            Self::Json => "demo-json",
            Self::Collections => "demo-collections",
            Self::Arithmetic => "demo-arithmetic",
        }
    }

    /// What it does, for people.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Locks => "eight threads fight for one lock",
            Self::Json => "orders are written as JSON and read again",
            Self::Collections => "collections grow from nothing, again and again",
            Self::Arithmetic => "plain arithmetic",
        }
    }

    /// Runs for this long.
    pub(super) fn run(self, time: Duration) {
        let end = Instant::now() + time;
        match self {
            Self::Locks => fight_for_a_lock(end),
            Self::Json => repeat(end, write_and_read_orders),
            Self::Collections => repeat(end, grow_collections),
            Self::Arithmetic => repeat(end, count_primes),
        }
    }
}

fn repeat(end: Instant, work: impl Fn()) {
    while Instant::now() < end {
        work();
    }
}

/// Threads that do next to nothing but take and release one lock.
#[inline(never)]
fn fight_for_a_lock(end: Instant) {
    let (account, over) = (Mutex::new(0_u64), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    deposit(&account);
                }
            });
        }
        thread::sleep(end.saturating_duration_since(Instant::now()));
        over.store(true, Ordering::Relaxed);
    });
}

#[inline(never)]
fn deposit(account: &Mutex<u64>) {
    if let Ok(mut account) = account.lock() {
        *account = black_box(account.wrapping_add(1));
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

/// A page of orders, written and read ten times.
#[inline(never)]
fn write_and_read_orders() {
    let orders: Vec<_> = (0..50).map(order).collect();
    for _ in 0..10 {
        if let Ok(text) = serde_json::to_vec(&orders) {
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

/// Lists that nobody said the size of, each grown from nothing one element at a time.
#[inline(never)]
fn grow_collections() {
    for _ in 0..20 {
        let mut list: Vec<u64> = Vec::new();
        while list.len() < 5_000 {
            grow(&mut list);
        }
        black_box(&list);
    }
}

#[inline(never)]
fn grow(list: &mut Vec<u64>) {
    list.resize(list.len() + 1, 7);
}

/// Counts primes by trial division.
#[inline(never)]
fn count_primes() {
    let primes = (2_u64..20_000).filter(|n| is_prime(*n)).count();
    black_box(primes);
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
