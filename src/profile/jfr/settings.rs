//! What a recording says of how it was made (`jdk.ActiveSetting`).

use super::classes::{Classes, FieldName, Value};
use super::events::Events;
use super::pools::Pools;
use super::wire::{Text, Wire};
use crate::profile::limits::ReadError;

/// Between two samples where nothing says how long that was: 100 samples a second.
const USUAL_INTERVAL: i64 = 10_000_000;

/// The settings that matter.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// What async-profiler took samples by: `cpu`, `itimer`, `ctimer`, `wall`, or an event of the processor.
    pub(super) event: String,
    /// Between two samples of a thread that runs, in nanoseconds: `interval` of async-profiler, `period` of the JDK.
    interval: Option<i64>,
    /// Between two samples of elapsed time, where those were taken beside the others.
    wall: Option<i64>,
}

impl Settings {
    /// Reads the settings of a chunk. Those of a later chunk replace those of an earlier one.
    pub(super) fn read<'b>(
        &mut self,
        chunk: Wire<'b>,
        described: &Classes,
        pools: &Pools<'b>,
    ) -> Result<(), ReadError> {
        let find =
            |wanted: &str| described.names().find(|(name, ..)| *name == wanted).map(|(_, id, place)| (id, place));
        let Some((setting, class)) = find("jdk.ActiveSetting") else { return Ok(()) };
        let execution = find("jdk.ExecutionSample").map(|(id, _)| id);
        for event in Events::of(chunk) {
            let (id, mut wire) = event?;
            if id != setting {
                continue;
            }
            let (mut of, mut name, mut value) = (None, Text::Empty, Text::Empty);
            described.object(class, &mut wire, &mut |field, found| match (field, found) {
                (FieldName::Id, Value::Number(id)) => of = Some(id),
                (FieldName::Name, Value::Text(text)) => name = text,
                (FieldName::Value, Value::Text(text)) => value = text,
                _ => {}
            })?;
            let name = pools.text(described, name)?;
            let is_of_execution = of.is_some() && of == execution;
            match &*name {
                "event" => self.event = pools.text(described, value)?.into_owned(),
                "interval" | "period" if is_of_execution => {
                    self.interval = nanoseconds(&pools.text(described, value)?).or(self.interval);
                }
                "wall" if is_of_execution => self.wall = nanoseconds(&pools.text(described, value)?).or(self.wall),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether samples were taken of all threads at intervals of elapsed time.
    pub(super) fn is_wall(&self) -> bool {
        self.event == "wall"
    }

    /// What a sample of CPU time stands for, in nanoseconds.
    ///
    /// Of async-profiler it is the interval between two samples. The JDK looks at up to five running threads in each period
    /// and samples each of them, so that a sample stands for a period of its thread; where more threads run, it sees less than
    /// there was. An interval that counts something else than time, such as cache misses, is no time, and the usual one is
    /// taken, as Pyroscope does.
    pub(super) fn cpu_interval(&self) -> i64 {
        let is_time = matches!(&*self.event, "" | "cpu" | "itimer" | "ctimer" | "wall");
        self.interval.filter(|_| is_time).unwrap_or(USUAL_INTERVAL)
    }

    /// What a sample of elapsed time stands for, in nanoseconds.
    pub(super) fn wall_interval(&self) -> i64 {
        if self.is_wall() { self.cpu_interval() } else { self.wall.unwrap_or_else(|| self.cpu_interval()) }
    }
}

/// A length of time: a number of nanoseconds, or a number with a unit as the JDK writes it (`20 ms`). `None` for 0, which
/// stands for the default, and for words (`everyChunk`).
fn nanoseconds(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let scale = match unit.trim() {
        "" | "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(scale).filter(|length| *length > 0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("10000000", Some(10_000_000))]
    #[case("20 ms", Some(20_000_000))]
    #[case("1 s", Some(1_000_000_000))]
    #[case("0", None)]
    #[case("everyChunk", None)]
    #[case("9223372036854775807 h", None)]
    fn reads_lengths_of_time(#[case] text: &str, #[case] expected: Option<i64>) {
        assert_eq!(nanoseconds(text), expected);
    }

    #[rstest]
    #[case("itimer", 5_000_000, 50_000_000)]
    #[case("wall", 5_000_000, 5_000_000)]
    #[case("", 5_000_000, 50_000_000)]
    #[case("cache-misses", 10_000_000, 50_000_000)]
    fn a_sample_stands_for_the_interval(#[case] event: &str, #[case] cpu: i64, #[case] wall: i64) {
        let settings = Settings { event: event.to_owned(), interval: Some(5_000_000), wall: Some(50_000_000) };
        assert_eq!((settings.cpu_interval(), settings.wall_interval()), (cpu, wall));
    }
}
