//! What a push leaves in the database, and in memory.

use super::*;

#[tokio::test]
async fn a_repeated_push_is_counted_once_for_five_minutes() {
    let setup = setup().await;
    let accepted = |stored, repeated| Accepted { stored, repeated, collapsed: 0 };
    assert_eq!(setup.store.push(vec![CPU.at(NOON)]).await.unwrap(), accepted(1, 0));
    setup.clock.advance(TimeDelta::seconds(299));
    assert_eq!(setup.store.push(vec![CPU.at(NOON)]).await.unwrap(), accepted(0, 1));
    setup.clock.advance(TimeDelta::seconds(1));
    assert_eq!(setup.store.push(vec![CPU.at(NOON)]).await.unwrap(), accepted(1, 0));
    assert_eq!(setup.count("block").await, 2);
}

#[tokio::test]
async fn one_row_holds_a_profile_with_all_its_sample_types() {
    let setup = setup().await;
    let types: &[_] =
        &[("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes")];
    let heap = Push { name: "memory", types, stacks: &[("f", &[1, 2, 3, 4]), ("g", &[5, 6, 0, 0])], ..CPU };
    setup.store.push(vec![heap.at(NOON)]).await.unwrap();
    assert_eq!((setup.count("block").await, setup.count("dict").await), (1, 1));
    let hour = window(NOON, "2026-11-20T13:00:00Z");
    let alloc = setup.merged(ProfileType::Alloc, hour, "").await.unwrap();
    assert_eq!(stacks(&alloc), owned(&[("f", 2), ("g", 6)]));
    let inuse = setup.merged(ProfileType::Inuse, hour, "").await.unwrap();
    assert_eq!((stacks(&inuse), inuse.meta.snapshots), (owned(&[("f", 4)]), Some(1)));
}

#[tokio::test]
async fn a_dictionary_grows_by_segments_only_when_there_is_something_new() {
    let setup = setup().await;
    for second in 0..5 {
        setup.store.push(vec![CPU.at(&format!("2026-11-20T12:00:0{second}Z"))]).await.unwrap();
    }
    assert_eq!((setup.count("block").await, setup.count("dict").await), (5, 1));
    setup.cpu().await;
    let new = Push { stacks: &[("new;main", &[10_000_000])], ..CPU };
    setup.store.push(vec![new.at("2026-11-20T12:00:09Z")]).await.unwrap();
    assert_eq!(setup.count("dict").await, 2);
    assert_eq!(setup.cpu().await.profile.total(0), 210_000_000);
}

#[tokio::test]
async fn a_failed_commit_is_forgotten_and_what_is_stored_stays() {
    let setup = setup().await;
    setup.store.push(vec![CPU.at(NOON)]).await.unwrap();
    let rename = |from: &'static str, to: &'static str| {
        let db = setup.database.db.clone();
        async move {
            db.run(Repeat::Safe, move |c| {
                Box::pin(async move {
                    let sql = format!("ALTER TABLE profile_store.{from} RENAME TO {to}");
                    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(c).await
                })
            })
            .await
            .unwrap();
        }
    };
    rename("dict", "away").await;
    let new = || Push { stacks: &[("new;main", &[10_000_000])], ..CPU }.at("2026-11-20T12:00:09Z");
    assert!(matches!(setup.store.push(vec![new()]).await, Err(PushError::Port(_))));
    rename("away", "dict").await;
    assert_eq!(setup.cpu().await.profile.total(0), 40_000_000);
    // The sender tries again; it goes to a new epoch.
    assert_eq!(setup.store.push(vec![new()]).await.unwrap().stored, 1);
    assert_eq!(
        stacks(&setup.cpu().await),
        owned(&[("main", 10_000_000), ("new;main", 10_000_000), ("work;main", 30_000_000)])
    );
}

#[tokio::test]
async fn a_profile_too_large_is_refused_and_what_is_stored_stays() {
    let dictionary = DictionaryLimits { nodes: 5, text_bytes: 1_000 };
    let setup = house_with(StoreSettings { dictionary, ..StoreSettings::default() }).await;
    setup.store.push(vec![CPU.at(NOON)]).await.unwrap();
    let large = Push { stacks: &[("a;b;c;d;e;f;g", &[1])], ..CPU };
    let refused = setup.store.push(vec![large.at("2026-11-20T12:00:10Z")]).await.unwrap_err();
    assert_eq!(refused.to_string(), "the profile has over 5 distinct tree nodes");
    assert_eq!(setup.cpu().await.profile.total(0), 40_000_000);
    setup.store.push(vec![CPU.at("2026-11-20T12:00:20Z")]).await.unwrap();
    assert_eq!(setup.cpu().await.profile.total(0), 80_000_000);
}

#[tokio::test]
async fn open_dictionaries_stay_within_their_memory() {
    let setup =
        house_with(StoreSettings { open_dictionaries: 4_096, dictionary_cache: 2_048, ..StoreSettings::default() })
            .await;
    for app in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        setup.store.push(vec![Push { app, ..CPU }.at(NOON)]).await.unwrap();
        let (open, _) = setup.store.memory();
        assert!(open <= 4_096, "{open}");
    }
    setup.store.push(vec![CPU.at(NOON)]).await.unwrap();
    assert_eq!(setup.cpu().await.profile.total(0), 40_000_000);
    assert!(setup.store.memory().1 <= 2_048);
}

#[tokio::test]
async fn a_push_waits_for_the_schema_of_a_server_that_starts() {
    let database = crate::storage::testing::empty_database().await;
    let clock = Arc::new(FixedClock::at(at(NOON)));
    let store = ProfileStore::new(database.db.clone(), clock.clone(), StoreSettings::default());
    let early = tokio::spawn({
        let store = store.clone();
        async move { store.push(vec![CPU.at(NOON)]).await }
    });
    database.db.prepare(true).await.unwrap();
    assert_eq!(early.await.unwrap().unwrap(), Accepted { stored: 1, ..Accepted::default() });
    let setup = Setup { store, clock, database };
    assert_eq!(setup.cpu().await.profile.stack_count(), 2);
}
