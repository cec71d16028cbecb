use std::fmt;
use std::str::FromStr;

/// A kind of profile, whatever its profiler calls the sample type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileType {
    /// Time on a processor.
    Cpu,
    /// Bytes allocated.
    Alloc,
    /// Time spent waiting for locks.
    Lock,
    /// Elapsed time of threads, running or not.
    Wall,
    /// Bytes in use: a snapshot.
    Inuse,
    /// Goroutines: a snapshot.
    Goroutine,
    /// Exceptions thrown.
    Exception,
    /// Samples of whatever the profiler counted: neither its sample types nor anybody else says what.
    Samples,
}

/// The name is no profile type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown profile type {0:?}: valid are cpu, alloc (allocation, memory), lock (mutex, contention), wall (wallclock, wall-clock), inuse, goroutine, exception, samples"
)]
pub struct UnknownProfileType(pub String);

impl ProfileType {
    /// All kinds, in the order of the documentation.
    pub const ALL: [Self; 8] =
        [Self::Cpu, Self::Alloc, Self::Lock, Self::Wall, Self::Inuse, Self::Goroutine, Self::Exception, Self::Samples];

    /// The canonical name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Alloc => "alloc",
            Self::Lock => "lock",
            Self::Wall => "wall",
            Self::Inuse => "inuse",
            Self::Goroutine => "goroutine",
            Self::Exception => "exception",
            Self::Samples => "samples",
        }
    }

    /// Whether profiles of this kind are snapshots: shares are right, sums over a window are not.
    pub fn is_snapshot(self) -> bool {
        matches!(self, Self::Inuse | Self::Goroutine)
    }
}

/// Reads a name or an alias, whatever its case.
impl FromStr for ProfileType {
    type Err = UnknownProfileType;

    fn from_str(name: &str) -> Result<Self, UnknownProfileType> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "cpu" => Self::Cpu,
            "alloc" | "allocation" | "memory" => Self::Alloc,
            "lock" | "mutex" | "contention" => Self::Lock,
            "wall" | "wallclock" | "wall-clock" => Self::Wall,
            "inuse" => Self::Inuse,
            "goroutine" => Self::Goroutine,
            "exception" => Self::Exception,
            "samples" => Self::Samples,
            _ => return Err(UnknownProfileType(name.to_owned())),
        })
    }
}

impl fmt::Display for ProfileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for ProfileType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
