//! The chain, what verifying finds, and months that come and go.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::super::conformance::{all, entry};
use super::super::{AuditChain, AuditSor, Verification, VerifyLimit};
use super::{run, session};
use crate::kernel::{CALL, Clock, FixedClock, SystemClock};
use crate::storage::testing::{TestDatabase, database};

struct Log {
    chain: AuditChain,
    port: Arc<dyn AuditSor>,
    clock: Arc<FixedClock>,
    connection: PgConnection,
    test: TestDatabase,
}

impl Log {
    /// A log of so many rows of the present.
    async fn of(rows: usize) -> Self {
        let test = database().await;
        let clock = Arc::new(FixedClock::at(SystemClock.now()));
        let chain = AuditChain::new(test.db.clone(), clock.clone(), Some(90));
        let (port, connection) = (super::super::local(test.db.clone()), session(&test).await);
        let mut log = Self { chain, port, clock, connection, test };
        log.append(rows).await;
        log
    }

    async fn append(&mut self, rows: usize) {
        let entries = (0..rows).map(|n| entry("token:ci", &format!("a{n}"))).collect();
        self.port.append(&CALL, entries).await.unwrap();
    }

    /// Adds a row of that time.
    async fn append_at(&mut self, at: DateTime<Utc>) {
        let add = "WITH who AS (SELECT id FROM core.audit_user LIMIT 1)
                   INSERT INTO core.audit_log (at, user_ref, action, resource_type, result, access_method, times)
                   SELECT $1, id, 'old', 'thing', 'success', 'system', 1 FROM who";
        sqlx::query(add).bind(at).execute(&mut self.connection).await.unwrap();
    }

    /// Does what only a superuser can: past all triggers.
    async fn tamper(&mut self, sql: &str) {
        run(
            &mut self.connection,
            &format!("SET session_replication_role = replica; {sql}; RESET session_replication_role"),
        )
        .await;
    }

    async fn verify(&self) -> Verification {
        self.port.verify(&CALL, None, VerifyLimit::default()).await.unwrap()
    }

    async fn ids(&self) -> Vec<i64> {
        let mut ids: Vec<_> = all(&*self.port).await.iter().map(|row| row.id).collect();
        ids.reverse();
        ids
    }
}

#[tokio::test]
async fn what_is_chained_is_verified_part_by_part() {
    let mut log = Log::of(5).await;
    assert_eq!(log.chain.extend(&CALL).await, Ok(5));
    assert_eq!(log.chain.extend(&CALL).await, Ok(0));
    let whole = log.verify().await;
    let head = whole.head.clone().unwrap();
    assert_eq!((whole.ok, whole.checked_rows, whole.unchained, whole.next_seq, head.seq), (true, 5, 0, None, 5));
    assert_eq!(head.hash.len(), 64);
    let part = log.port.verify(&CALL, Some(2), VerifyLimit::try_from(3).unwrap()).await.unwrap();
    assert_eq!((part.ok, part.checked_rows, part.next_seq), (true, 3, Some(5)));
    let rest = log.port.verify(&CALL, part.next_seq, VerifyLimit::default()).await.unwrap();
    assert_eq!((rest.ok, rest.checked_rows, rest.next_seq), (true, 1, None));
    log.append(1).await;
    assert_eq!(log.verify().await.unchained, 1);
    assert_eq!(log.chain.unchained(&CALL).await.unwrap().rows, 1);
    assert_eq!(log.chain.extend(&CALL).await, Ok(1));
    assert_ne!(log.verify().await.head.unwrap().hash, head.hash);
}

#[tokio::test]
async fn a_superusers_edit_is_found_by_its_id() {
    for tampered in [
        "UPDATE core.audit_log SET times = 2 WHERE id = ",
        "UPDATE core.audit_log SET metadata = NULL WHERE id = ",
        "UPDATE core.audit_log SET at = at - interval '1 microsecond' WHERE id = ",
        "UPDATE core.audit_log SET user_ref = user_ref + 1 WHERE id = ",
        "DELETE FROM core.audit_log WHERE id = ",
        "UPDATE core.audit_chain SET hash = '' WHERE log_id = ",
    ] {
        let mut log = Log::of(5).await;
        log.chain.extend(&CALL).await.unwrap();
        let ids = log.ids().await;
        log.tamper(&format!("{tampered}{}", ids[2])).await;
        let found = log.verify().await;
        assert_eq!((found.ok, found.first_broken_id, found.checked_rows), (false, Some(ids[2]), 5), "{tampered}");
        let later = log.port.verify(&CALL, Some(5), VerifyLimit::default()).await.unwrap();
        assert_eq!((later.ok, later.checked_rows), (true, 1), "{tampered}");
    }
}

#[tokio::test]
async fn a_link_that_was_taken_out_breaks_the_one_after_it() {
    let mut log = Log::of(4).await;
    log.chain.extend(&CALL).await.unwrap();
    let ids = log.ids().await;
    log.tamper(&format!(
        "DELETE FROM core.audit_chain WHERE log_id = {0}; DELETE FROM core.audit_log WHERE id = {0}",
        ids[1]
    ))
    .await;
    assert_eq!(log.verify().await.first_broken_id, Some(ids[2]));
}

#[tokio::test]
async fn what_commits_late_is_chained_late() {
    let mut log = Log::of(1).await;
    run(&mut log.connection, "BEGIN").await;
    log.append_at(log.clock.now()).await;
    log.append(2).await;
    assert_eq!(log.chain.extend(&CALL).await, Ok(3));
    run(&mut log.connection, "COMMIT").await;
    assert_eq!(log.chain.unchained(&CALL).await.unwrap().rows, 1);
    assert_eq!(log.chain.extend(&CALL).await, Ok(1));
    let ids = log.ids().await;
    let chained: Vec<i64> = sqlx::query_scalar("SELECT log_id FROM core.audit_chain ORDER BY seq")
        .fetch_all(&mut log.connection)
        .await
        .unwrap();
    assert_eq!(chained, [ids[0], ids[2], ids[3], ids[1]]);
    assert!(log.verify().await.ok);
}

#[tokio::test]
async fn what_committed_after_more_than_an_hour_is_left_to_upkeep() {
    let mut log = Log::of(1).await;
    let old = log.clock.now() - TimeDelta::hours(3);
    run(&mut log.connection, "BEGIN").await;
    log.append_at(old).await;
    let mut other = session(&log.test).await;
    std::mem::swap(&mut log.connection, &mut other);
    log.append_at(old + TimeDelta::hours(1)).await;
    assert_eq!(log.chain.extend(&CALL).await, Ok(2));
    run(&mut other, "COMMIT").await;
    assert_eq!(log.chain.extend(&CALL).await, Ok(0));
    log.chain.upkeep(&CALL).await.unwrap();
    assert_eq!((log.verify().await.ok, log.verify().await.checked_rows), (true, 3));
}

#[tokio::test]
async fn several_that_chain_at_once_chain_each_row_once() {
    let log = Log::of(200).await;
    let all = futures::future::join_all((0..4).map(|_| log.chain.extend(&CALL))).await;
    let added: u32 = all.into_iter().map(Result::unwrap).sum();
    assert_eq!(added + log.chain.extend(&CALL).await.unwrap(), 200);
    assert_eq!((log.verify().await.ok, log.verify().await.checked_rows), (true, 200));
}

#[tokio::test]
async fn months_are_made_ahead_and_take_the_rows_that_came_before_them() {
    let mut log = Log::of(2).await;
    let now = log.clock.now();
    log.append_at(now - TimeDelta::days(400)).await;
    let in_default = "SELECT count(*) FROM core.audit_log_default";
    let count: i64 = sqlx::query_scalar(in_default).fetch_one(&mut log.connection).await.unwrap();
    assert_eq!(count, 3);
    log.chain.extend(&CALL).await.unwrap();
    let keeps_all = AuditChain::new(log.test.db.clone(), log.clock.clone(), None);
    keeps_all.upkeep(&CALL).await.unwrap();
    let count: i64 = sqlx::query_scalar(in_default).fetch_one(&mut log.connection).await.unwrap();
    assert_eq!(count, 0);
    assert_eq!((log.verify().await.ok, log.verify().await.checked_rows), (true, 3));
    let months = "SELECT to_regclass('core.audit_log_' || to_char(($1 AT TIME ZONE 'UTC') + n * interval '1 month', 'YYYYMM')) IS NOT NULL
                  FROM generate_series(0, 3) AS n";
    let made: Vec<bool> = sqlx::query_scalar(months).bind(now).fetch_all(&mut log.connection).await.unwrap();
    assert_eq!(made, [true; 4]);
}

#[tokio::test]
async fn months_that_are_old_go_whole_and_the_rest_still_verifies() {
    let mut log = Log::of(1).await;
    let now = log.clock.now();
    // A row of an old month that is chained after the rows of months that stay.
    for days in [200, 199, 0, 198] {
        log.append_at(now - TimeDelta::days(days)).await;
        while log.chain.extend(&CALL).await.unwrap() > 0 {}
    }
    assert_eq!(log.verify().await.checked_rows, 5);
    let dropped = log.chain.upkeep(&CALL).await.unwrap().dropped;
    assert!(!dropped.is_empty() && dropped.len() <= 2, "{dropped:?}");
    assert_eq!(all(&*log.port).await.len(), 2);
    let after = log.verify().await;
    assert_eq!((after.ok, after.unchained, after.head.as_ref().map(|head| head.seq)), (true, 0, Some(5)));
    log.append(1).await;
    assert_eq!(log.chain.extend(&CALL).await, Ok(1));
    assert_eq!((log.verify().await.ok, log.chain.extend(&CALL).await), (true, Ok(0)));
    let ids = log.ids().await;
    log.tamper(&format!("UPDATE core.audit_log SET times = 2 WHERE id = {}", ids[0])).await;
    assert_eq!(log.verify().await.first_broken_id, Some(ids[0]));
    // Once nothing at all is left, the chain goes on from its anchor.
    log.clock.advance(TimeDelta::days(200));
    log.chain.upkeep(&CALL).await.unwrap();
    assert_eq!((all(&*log.port).await.len(), log.verify().await.head.unwrap().seq), (0, 6));
    log.append_at(log.clock.now()).await;
    assert_eq!(log.chain.extend(&CALL).await, Ok(1));
    let last = log.verify().await;
    assert_eq!((last.ok, last.checked_rows, last.head.unwrap().seq), (true, 1, 7));
}
