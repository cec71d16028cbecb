//! Lock profiles: each lock with its share of the wait, whatever the language.

use super::*;
use crate::profile::{ReadLimits, read_folded};

/// A lock profile of 100 s, of stacks root first with the milliseconds waited, by the catalogue that is compiled in.
fn locks(stacks: &[(&str, i64)]) -> ProfileAssessment {
    let folded: String = stacks.iter().map(|(stack, ms)| format!("{stack} {}\n", ms * 1_000_000)).collect();
    let sample_type = SampleType::new("delay", "nanoseconds");
    let profile = read_folded(folded.as_bytes(), sample_type, &ReadLimits::default()).unwrap();
    ProfileAssessment::of(
        &Rules::builtin(),
        &Subject {
            kind: ProfileType::Lock,
            profile: &profile,
            sample_type: 0,
            time: Some(ObservedTime { seconds: 100.0, over: RateOver::Profiles }),
            facts: SourceFacts { contentions: Some(5_000), ..SourceFacts::default() },
            top: 10,
        },
    )
}

/// What async-profiler records of a monitor ends in the blocked method, of a Go mutex in `Unlock`.
#[rstest]
#[case::java_monitor("java/lang/Thread.run;com/shop/Order.place;com/shop/Stock.take")]
#[case::java_lock(
    "java/lang/Thread.run;com/shop/Order.place;com/shop/Stock.take;java/util/concurrent/locks/ReentrantLock.lock;java/util/concurrent/locks/AbstractQueuedSynchronizer.acquire;java/util/concurrent/locks/LockSupport.park"
)]
#[case::java_class_of_the_lock("java/lang/Thread.run;com/shop/Order.place;com/shop/Stock.take;java/lang/Object_[i]")]
#[case::go("main.main;shop.(*Order).Place;shop.(*Stock).Take;sync.(*Mutex).Unlock")]
#[case::dotnet("Shop!Shop.Order.Place;Shop!Shop.Stock.Take")]
fn a_lock_of_any_language_is_as_severe_as_what_is_waited_for_it(#[case] stack: &str) {
    for (ms, severity) in
        [(50, FindingSeverity::Low), (5_000, FindingSeverity::Medium), (50_000, FindingSeverity::High)]
    {
        let a = locks(&[(stack, ms)]);
        assert_eq!(
            (a.diagnosis.name, a.diagnosis.ground),
            ("lock_contention", Ground::Finding(Category::LockContention))
        );
        assert_eq!((a.diagnosis.severity, a.diagnosis.confirmed), (severity, true), "{ms} ms");
        assert_eq!(a.rate, Some(Rate::WaitMsPerSecond(ms as f64 / 100.0)));
        assert!(a.diagnosis.responsible[0].function.contains("Stock"), "{:?}", a.diagnosis.responsible);
    }
}

#[test]
fn lists_each_lock_with_its_share_of_the_wait() {
    let stack = |name: &str| format!("java/lang/Thread.run;com/shop/Order.place;com/shop/{name}");
    let names = ["A.a", "B.b", "C.c", "D.d", "E.e", "F.f", "G.g"].map(stack);
    let shares = [40, 20, 15, 10, 8, 4, 3];
    let stacks: Vec<_> = names.iter().map(String::as_str).zip(shares.map(|share| share * 100)).collect();
    let a = locks(&stacks);
    let finding = a.finding(Category::LockContention).unwrap();
    let named: Vec<_> =
        finding.locks.named.iter().map(|l| (l.function.as_str(), l.percent, l.wait_ms_per_second)).collect();
    assert_eq!(
        named,
        [
            ("com/shop/A.a", 40.0, Some(40.0)),
            ("com/shop/B.b", 20.0, Some(20.0)),
            ("com/shop/C.c", 15.0, Some(15.0)),
            ("com/shop/D.d", 10.0, Some(10.0)),
            ("com/shop/E.e", 8.0, Some(8.0)),
        ]
    );
    assert_eq!(finding.locks.more, 2);
    assert!(
        a.diagnosis
            .recommendation
            .contains("The wait by lock: A.a 40 %, B.b 20 %, C.c 15 %, D.d 10 %, E.e 8 % and 2 more."),
        "{}",
        a.diagnosis.recommendation
    );
}

#[test]
fn threads_that_wait_for_work_wait_for_no_lock() {
    let a = locks(&[
        (
            "java/lang/Thread.run;java/util/concurrent/ThreadPoolExecutor.getTask;java/util/concurrent/LinkedBlockingQueue.take;java/util/concurrent/locks/AbstractQueuedSynchronizer$ConditionObject.await;java/util/concurrent/locks/LockSupport.park",
            90_000,
        ),
        ("java/lang/Thread.run;com/shop/Order.place;com/shop/Stock.take", 5_000),
    ]);
    assert_eq!((a.active, a.idle), (5_000_000_000, 90_000_000_000));
    assert_eq!(a.rate, Some(Rate::WaitMsPerSecond(50.0)));
    let finding = a.finding(Category::LockContention).unwrap();
    assert_eq!((finding.share.percent, finding.severity), (100.0, FindingSeverity::Medium));
    assert_eq!(finding.locks.named.len(), 1);
}

#[test]
fn locks_that_hardly_anybody_waits_for_are_counted_and_not_named() {
    let a = locks(&[
        ("java/lang/Thread.run;com/shop/A.a", 60_000),
        ("java/lang/Thread.run;com/shop/B.b", 39_800),
        ("java/lang/Thread.run;com/shop/C.c", 200),
    ]);
    let text = &a.diagnosis.recommendation;
    assert!(text.contains("The wait by lock: A.a 60 %, B.b 40 % and 1 more."), "{text}");
}

/// What Python code is for says nothing of why it waits for its turn.
#[test]
fn waiting_for_the_interpreters_lock_is_named_before_what_the_code_is_for() {
    let folded = "work (shop.py:10);loads (json/__init__.py:346);raw_decode (json/decoder.py:353);pthread_cond_timedwait (libc.so.6) 700\n\
                  work (shop.py:10);loads (json/__init__.py:346);raw_decode (json/decoder.py:353) 200\n\
                  work (shop.py:10);score (shop.py:7) 100\n";
    let profile = read_folded(folded.as_bytes(), SampleType::new("samples", ""), &ReadLimits::default()).unwrap();
    let facts = SourceFacts::default();
    let subject = Subject { kind: ProfileType::Wall, profile: &profile, sample_type: 0, time: None, facts, top: 10 };
    let a = ProfileAssessment::of(&Rules::builtin(), &subject);
    assert_eq!(a.diagnosis.name, "lock_contention");
    let finding = a.finding(Category::LockContention).unwrap();
    let causes: Vec<_> = finding.causes.iter().map(|share| (&*share.cause.id, share.percent)).collect();
    assert_eq!(causes, [("interpreter_lock", 70.0)]);
    assert!(a.diagnosis.recommendation.contains("in processes instead of threads"), "{}", a.diagnosis.recommendation);
    let serialization = a.finding(Category::Serialization).unwrap();
    assert_eq!(serialization.share.percent, 20.0);
}
