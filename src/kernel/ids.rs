use uuid::Uuid;

/// The id of a row of a relational SOR: an integer ≥ 1 that fits PostgreSQL's `int4`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct RowId(i32);

impl RowId {
    /// Takes an id from outside; `None` where no row can have it.
    pub fn new(id: i64) -> Option<Self> {
        i32::try_from(id).ok().filter(|id| *id >= 1).map(Self)
    }

    /// The id as PostgreSQL holds it.
    pub fn get(self) -> i32 {
        self.0
    }
}

impl<'de> serde::Deserialize<'de> for RowId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(deserializer)?).ok_or_else(|| serde::de::Error::custom("must be an id from 1"))
    }
}

/// Where new ids come from, so that tests and replays can fix them.
pub trait IdSource: Send + Sync {
    /// A new, unique id.
    fn next(&self) -> Uuid;
}

/// Time-ordered random ids (UUID version 7).
#[derive(Debug, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    #[expect(clippy::disallowed_methods, reason = "this is the id source")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// Ids 1, 2, 3… for tests.
#[derive(Debug, Default)]
pub struct SequentialIds(std::sync::atomic::AtomicU64);

impl IdSource for SequentialIds {
    fn next(&self) -> Uuid {
        let n = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        Uuid::from_u128(u128::from(n))
    }
}
