//! Days: made ahead, dropped as a whole.

use super::*;

#[tokio::test]
async fn partitions_are_made_ahead_and_dropped_when_expired_blocks_before_dictionaries() {
    let setup = house_with(StoreSettings { retention: TimeDelta::days(2), ..StoreSettings::default() }).await;
    setup.store.push(vec![CPU.at(NOON)]).await.unwrap();
    assert_eq!(setup.store.maintain().await.unwrap(), Maintenance::default());
    setup.clock.set(at("2026-11-21T00:00:01Z"));
    let next = setup.store.maintain().await.unwrap();
    assert_eq!(
        (next.made, next.expired.dropped),
        (vec!["block_20261123".to_owned(), "dict_20261123".to_owned()], vec![])
    );
    setup.store.push(vec![CPU.at("2026-11-21T00:00:01Z")]).await.unwrap();
    setup.clock.set(at("2026-11-23T00:00:00Z"));
    assert_eq!(setup.store.maintain().await.unwrap().expired.dropped, ["block_20261120"]);
    setup.clock.set(at("2026-11-24T00:00:00Z"));
    assert_eq!(setup.store.maintain().await.unwrap().expired.dropped, ["block_20261121", "dict_20261120"]);
    assert_eq!((setup.count("block").await, setup.count("dict").await), (0, 1));
}

#[tokio::test]
async fn a_late_profile_gets_the_partition_of_its_day() {
    let setup = setup().await;
    setup.store.push(vec![CPU.at("2026-11-15T08:00:00Z")]).await.unwrap();
    let day = window("2026-11-15T00:00:00Z", "2026-11-16T00:00:00Z");
    assert_eq!(setup.merged(ProfileType::Cpu, day, "").await.unwrap().profile.total(0), 40_000_000);
}
