//! Leaves out assessments that say the same as the last one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use moka::future::Cache;

use super::batch::{Batch, Recorded};
use super::domain::{Assessment, AssessmentSeverity, HistoryPage, HistoryQuery, NewAssessment};
use super::port::HistorySor;
use crate::kernel::{AppName, Call, Clock, PortResult, ProfileType, RowId, Stored, Text255};

/// For how many apps and callers the last assessment is remembered. An assessment for one that was forgotten is
/// recorded.
const REMEMBERED: u64 = 10_000;

/// Who asked what of which app.
#[derive(PartialEq, Eq, Hash)]
struct Asked {
    app: AppName,
    types: Vec<ProfileType>,
    by: Option<Text255>,
}

/// What was recorded last, and when.
#[derive(Clone)]
struct Said {
    diagnosis: Text255,
    severity: AssessmentSeverity,
    at: DateTime<Utc>,
}

/// A decorator of the port for decisions that are asked for again and again. An assessment with the diagnosis and
/// severity of the last one, for the same app, kinds of profile and caller, is recorded only after some time. So an
/// entry holds until the next one, and every change is recorded. Assessments that are left out are counted.
pub struct Repeats {
    history: Arc<dyn HistorySor>,
    clock: Arc<dyn Clock>,
    every: TimeDelta,
    last: Cache<Asked, Said>,
}

impl Repeats {
    /// Records what is repeated so often at most. Each decision has its own, as its diagnoses are of its kind.
    pub fn new(history: Arc<dyn HistorySor>, clock: Arc<dyn Clock>, every: Duration) -> Self {
        metrics::describe_counter!("history_repeats_total", "Assessments not recorded, as the last one says the same");
        let every = TimeDelta::from_std(every).unwrap_or(TimeDelta::MAX);
        Self { history, clock, every, last: Cache::new(REMEMBERED) }
    }
}

#[async_trait]
impl HistorySor for Repeats {
    async fn create(&self, call: &Call, entry: NewAssessment) -> PortResult<Assessment> {
        self.history.create(call, entry).await
    }

    async fn create_all(&self, call: &Call, batch: Batch<Recorded>) -> PortResult<Vec<PortResult<RowId>>> {
        self.history.create_all(call, batch).await
    }

    async fn record(&self, call: &Call, entry: NewAssessment) -> PortResult<()> {
        let asked =
            Asked { app: entry.app_name.clone(), types: entry.profile_types.clone(), by: entry.requested_by.clone() };
        let at = self.clock.now();
        if let Some(last) = self.last.get(&asked).await
            && (&last.diagnosis, last.severity) == (&entry.diagnosis, entry.severity)
            && at - last.at < self.every
        {
            metrics::counter!("history_repeats_total").increment(1);
            return Ok(());
        }
        let said = Said { diagnosis: entry.diagnosis.clone(), severity: entry.severity, at };
        self.history.record(call, entry).await?;
        self.last.insert(asked, said).await;
        Ok(())
    }

    async fn list(&self, call: &Call, query: &HistoryQuery) -> PortResult<HistoryPage> {
        self.history.list(call, query).await
    }

    async fn latest(&self, call: &Call, app: &AppName) -> PortResult<Option<Stored<Assessment>>> {
        self.history.latest(call, app).await
    }

    async fn remove(&self, call: &Call, id: RowId) -> PortResult<bool> {
        self.history.remove(call, id).await
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::kernel::{CALL, FixedClock, PortError};
    use crate::sor::history::MockHistorySor;
    use crate::sor::history::conformance::{new, now};

    fn repeats(history: MockHistorySor, clock: &Arc<FixedClock>) -> Repeats {
        Repeats::new(Arc::new(history), Arc::clone(clock) as Arc<dyn Clock>, Duration::from_hours(1))
    }

    type Change = fn(&mut NewAssessment);

    const SAME: Change = |_| {};
    const WORSE: Change = |entry| entry.severity = AssessmentSeverity::Critical;
    const OTHER: Change = |entry| entry.diagnosis = "regex".parse().unwrap();

    #[rstest]
    #[case::within_the_time(&[(0, SAME), (20, SAME), (59, SAME)], &[0])]
    #[case::once_it_is_over(&[(0, SAME), (59, SAME), (60, SAME), (119, SAME), (120, SAME)], &[0, 60, 120])]
    #[case::another_diagnosis(&[(0, SAME), (1, OTHER), (2, OTHER)], &[0, 1])]
    #[case::another_severity(&[(0, SAME), (1, WORSE), (2, WORSE)], &[0, 1])]
    #[case::each_time_it_changes(&[(0, SAME), (1, OTHER), (2, SAME), (3, SAME)], &[0, 1, 2])]
    #[case::another_app(&[(0, SAME), (1, |entry| entry.app_name = "till".parse().unwrap())], &[0, 1])]
    #[case::other_kinds(&[(0, SAME), (1, |entry| entry.profile_types.push(ProfileType::Alloc))], &[0, 1])]
    #[case::for_another(&[(0, SAME), (1, |entry| entry.requested_by = Some("ann".parse().unwrap()))], &[0, 1])]
    #[case::whoever_asks_between(&[(0, SAME), (1, |entry| entry.requested_by = Some("ann".parse().unwrap())), (2, SAME)],
        &[0, 1])]
    #[case::whatever_its_rows(&[(0, SAME), (1, |entry| entry.recommendation = "less".to_owned().try_into().ok())], &[0])]
    #[tokio::test]
    async fn records_what_is_new_and_what_is_repeated_once_a_time(
        #[case] told: &[(i64, Change)],
        #[case] recorded: &[i64],
    ) {
        let clock = Arc::new(FixedClock::at(now()));
        let (mut history, minutes) = (MockHistorySor::new(), Arc::clone(&clock));
        let (sender, receiver) = std::sync::mpsc::channel();
        history.expect_record().returning(move |_, _| {
            sender.send((minutes.now() - now()).num_minutes()).unwrap();
            Ok(())
        });
        let repeats = repeats(history, &clock);
        for (minute, change) in told {
            clock.set(now() + TimeDelta::minutes(*minute));
            let mut entry = new("shop", "gc_pressure");
            change(&mut entry);
            repeats.record(&CALL, entry).await.unwrap();
        }
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), recorded);
    }

    #[tokio::test]
    async fn what_could_not_be_recorded_is_no_last_word() {
        let mut history = MockHistorySor::new();
        let away = PortError::Unavailable("away".to_owned());
        let fails = away.clone();
        history.expect_record().once().returning(move |_, _| Err(fails.clone()));
        history.expect_record().once().returning(|_, _| Ok(()));
        let repeats = repeats(history, &Arc::new(FixedClock::at(now())));
        assert_eq!(repeats.record(&CALL, new("shop", "gc_pressure")).await, Err(away));
        assert_eq!(repeats.record(&CALL, new("shop", "gc_pressure")).await, Ok(()));
        assert_eq!(repeats.record(&CALL, new("shop", "gc_pressure")).await, Ok(()), "not told of any more");
    }
}
