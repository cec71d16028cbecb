use std::sync::Mutex;

use chrono::DateTime;
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::kernel::{CALL, FixedClock, PortError, Progress, Selector, SequentialIds, TimeWindow, Version};
use crate::profile::{ReadLimits, SampleType, read_folded};
use crate::sor::history::MockHistorySor;
use crate::sor::profile_data::{MockProfileDataSor, ProfileMeta};

fn cpu() -> MergedProfile {
    let sample_type = SampleType::new("cpu", "nanoseconds");
    let profile = read_folded(b"main;work 2000000000", sample_type.clone(), &ReadLimits::default()).unwrap();
    let meta = ProfileMeta { sample_type: Some(sample_type), ..ProfileMeta::default() };
    MergedProfile { profile: Arc::new(profile), meta }
}

fn service(profiles: MockProfileDataSor, history: MockHistorySor) -> TriageService {
    let clock = FixedClock::at(DateTime::from_timestamp(1_706_003_600, 0).unwrap());
    let relational = RelationalPorts {
        baselines: None,
        history: Some(Arc::new(history)),
        registry: None,
        clock: Arc::new(clock),
        ids: Arc::new(SequentialIds::default()),
        version: Version::V2,
    };
    TriageService::new(TriageParts { profiles: Arc::new(profiles), relational, rules: Rules::builtin(), cost: None })
}

fn request() -> TriageRequest {
    let at = |s| DateTime::from_timestamp(s, 0).unwrap();
    TriageRequest {
        app: "shop".parse().unwrap(),
        window: TimeWindow::new(at(1_706_000_000), at(1_706_003_600)).unwrap(),
        types: Requested::Given(vec![ProfileType::Cpu, ProfileType::Wall]),
        limit: 10,
        selector: Selector::default(),
        tenant: None,
        requested_by: None,
        compare: None,
    }
}

#[derive(Default)]
struct Seen(Mutex<Vec<(Phase, u32, u32)>>);

impl Progress for Seen {
    fn at(&self, phase: Phase, done: u32, of: u32) {
        self.0.lock().unwrap().push((phase, done, of));
    }
}

#[tokio::test]
async fn who_watches_sees_every_phase_in_order_and_the_answer_is_the_same() {
    let both = || {
        let mut profiles = MockProfileDataSor::new();
        profiles.expect_merged().times(2).returning(|_, _| Ok(Some(cpu())));
        let mut history = MockHistorySor::new();
        history.expect_record().times(1).returning(|_, _| Ok(()));
        service(profiles, history)
    };
    let seen = Arc::new(Seen::default());
    let watched = both().triage(&CALL.clone().watched_by(seen.clone()), &request()).await.unwrap();
    let unwatched = both().triage(&CALL, &request()).await.unwrap();
    assert_eq!(watched.summary, unwatched.summary);
    assert_eq!(
        *seen.0.lock().unwrap(),
        [
            (Phase::Resolve, 0, 1),
            (Phase::Resolve, 1, 1),
            (Phase::Fetch, 1, 2),
            (Phase::Fetch, 2, 2),
            (Phase::Restore, 1, 1),
            (Phase::Analyze, 1, 2),
            (Phase::Analyze, 2, 2),
            (Phase::Policy, 1, 1),
            (Phase::Report, 1, 1),
        ]
    );
}

#[tokio::test]
async fn a_triage_that_is_cancelled_ends_and_is_not_recorded() {
    let mut profiles = MockProfileDataSor::new();
    let token = CancellationToken::new();
    let cancel = token.clone();
    profiles.expect_merged().returning(move |_, _| {
        cancel.cancel();
        Ok(Some(cpu()))
    });
    let service = service(profiles, MockHistorySor::new());
    let refused = service.triage(&CALL.clone().cancelled_by(token), &request()).now_or_never();
    assert_eq!(refused.unwrap().unwrap_err(), Refusal::Profiles(PortError::Cancelled));
}

#[tokio::test]
async fn ports_are_asked_with_the_deadline_of_a_triage_or_that_of_the_caller_if_it_is_earlier() {
    let mut profiles = MockProfileDataSor::new();
    profiles.expect_apps().returning(|_, _, _| Ok(Vec::new()));
    let soon = Instant::now() + Duration::from_secs(3);
    profiles
        .expect_merged()
        .times(2)
        .withf(move |call, _| call.urgency().deadline == Some(soon))
        .returning(|_, _| Ok(None));
    let refused = service(profiles, MockHistorySor::new()).triage(&CALL.until(soon), &request()).await;
    assert!(matches!(refused, Err(Refusal::AppUnknown { .. })));
}
