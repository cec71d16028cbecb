//! What a push leaves in the database, and in memory.

use super::*;

#[tokio::test]
async fn a_repeated_push_is_counted_once_for_five_minutes() {
    let house = house().await;
    let accepted = |stored, repeated| Accepted { stored, repeated, collapsed: 0 };
    assert_eq!(house.store.push(vec![CPU.at(NOON)]).await.unwrap(), accepted(1, 0));
    house.clock.advance(TimeDelta::seconds(299));
    assert_eq!(house.store.push(vec![CPU.at(NOON)]).await.unwrap(), accepted(0, 1));
    house.clock.advance(TimeDelta::seconds(1));
    assert_eq!(house.store.push(vec![CPU.at(NOON)]).await.unwrap(), accepted(1, 0));
    assert_eq!(house.count("block").await, 2);
}

#[tokio::test]
async fn one_row_holds_a_profile_with_all_its_sample_types() {
    let house = house().await;
    let types: &[_] =
        &[("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes")];
    let heap = Push { name: "memory", types, stacks: &[("f", &[1, 2, 3, 4]), ("g", &[5, 6, 0, 0])], ..CPU };
    house.store.push(vec![heap.at(NOON)]).await.unwrap();
    assert_eq!((house.count("block").await, house.count("dict").await), (1, 1));
    let hour = window(NOON, "2026-11-20T13:00:00Z");
    let alloc = house.merged(ProfileType::Alloc, hour, "").await.unwrap();
    assert_eq!(stacks(&alloc), owned(&[("f", 2), ("g", 6)]));
    let inuse = house.merged(ProfileType::Inuse, hour, "").await.unwrap();
    assert_eq!((stacks(&inuse), inuse.meta.snapshots), (owned(&[("f", 4)]), Some(1)));
}

#[tokio::test]
async fn a_dictionary_grows_by_segments_only_when_there_is_something_new() {
    let house = house().await;
    for second in 0..5 {
        house.store.push(vec![CPU.at(&format!("2026-11-20T12:00:0{second}Z"))]).await.unwrap();
    }
    assert_eq!((house.count("block").await, house.count("dict").await), (5, 1));
    house.cpu().await;
    let new = Push { stacks: &[("new;main", &[10_000_000])], ..CPU };
    house.store.push(vec![new.at("2026-11-20T12:00:09Z")]).await.unwrap();
    assert_eq!(house.count("dict").await, 2);
    assert_eq!(house.cpu().await.profile.total(0), 210_000_000);
}

#[tokio::test]
async fn a_failed_commit_is_forgotten_and_what_is_stored_stays() {
    let house = house().await;
    house.store.push(vec![CPU.at(NOON)]).await.unwrap();
    let rename = |from: &'static str, to: &'static str| {
        let db = house.database.db.clone();
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
    assert!(matches!(house.store.push(vec![new()]).await, Err(PushError::Port(_))));
    rename("away", "dict").await;
    assert_eq!(house.cpu().await.profile.total(0), 40_000_000);
    // The sender tries again; it goes to a new epoch.
    assert_eq!(house.store.push(vec![new()]).await.unwrap().stored, 1);
    assert_eq!(
        stacks(&house.cpu().await),
        owned(&[("main", 10_000_000), ("new;main", 10_000_000), ("work;main", 30_000_000)])
    );
}

#[tokio::test]
async fn a_profile_too_large_is_refused_and_what_is_stored_stays() {
    let dictionary = DictionaryLimits { nodes: 5, text_bytes: 1_000 };
    let house = house_with(StoreSettings { dictionary, ..StoreSettings::default() }).await;
    house.store.push(vec![CPU.at(NOON)]).await.unwrap();
    let large = Push { stacks: &[("a;b;c;d;e;f;g", &[1])], ..CPU };
    let refused = house.store.push(vec![large.at("2026-11-20T12:00:10Z")]).await.unwrap_err();
    assert_eq!(refused.to_string(), "the profile has over 5 distinct tree nodes");
    assert_eq!(house.cpu().await.profile.total(0), 40_000_000);
    house.store.push(vec![CPU.at("2026-11-20T12:00:20Z")]).await.unwrap();
    assert_eq!(house.cpu().await.profile.total(0), 80_000_000);
}

#[tokio::test]
async fn open_dictionaries_stay_within_their_memory() {
    let house =
        house_with(StoreSettings { open_dictionaries: 4_096, dictionary_cache: 2_048, ..StoreSettings::default() })
            .await;
    for app in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        house.store.push(vec![Push { app, ..CPU }.at(NOON)]).await.unwrap();
        let (open, _) = house.store.memory();
        assert!(open <= 4_096, "{open}");
    }
    house.store.push(vec![CPU.at(NOON)]).await.unwrap();
    assert_eq!(house.cpu().await.profile.total(0), 40_000_000);
    assert!(house.store.memory().1 <= 2_048);
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
    let house = Setup { store, clock, database };
    assert_eq!(house.cpu().await.profile.stack_count(), 2);
}
