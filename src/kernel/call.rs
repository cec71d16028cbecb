//! What every call of a port or a service carries beside its arguments.

use core::net::IpAddr;
use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{AccessMethod, Actor, Phase, PortError, Progress, Text255, Trace};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who it is.
    pub actor: Actor,
    /// The address that the request came from.
    pub client: Option<IpAddr>,
    /// The projects that it may see; `None` for all.
    pub projects: Option<Vec<Text255>>,
}

/// Which calls go first where calls have to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// One of many calls of a fleet search or an alert round. Prompt calls go first, and it reads stacks only.
    Scan,
    /// A person or a service waits for the answer.
    Prompt,
}

/// How urgent a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Urgency {
    /// When the callers stop waiting; `None`: never.
    pub deadline: Option<Instant>,
    /// Which calls go first.
    pub priority: Priority,
}

impl Urgency {
    /// The urgency of work that both wait for: the latest deadline, the highest priority.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            deadline: self.deadline.zip(other.deadline).map(|(one, another)| one.max(another)),
            priority: self.priority.max(other.priority),
        }
    }
}

/// What every call of a port or a service carries beside its arguments: the caller, the request and trace, the deadline
/// and priority, the listener for progress, and the cancellation. Clones are cheap.
///
/// The default is a prompt call without a caller and without a deadline.
#[derive(Clone)]
pub struct Call {
    caller: Option<Arc<Caller>>,
    agent: Option<Arc<str>>,
    request_id: Option<Arc<str>>,
    trace: Option<Trace>,
    urgency: Urgency,
    /// The urgency of the callers that share the call. It replaces `urgency` and may change.
    shared: Option<watch::Receiver<Urgency>>,
    progress: Option<Arc<dyn Progress>>,
    cancellation: Option<CancellationToken>,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            caller: None,
            agent: None,
            request_id: None,
            trace: None,
            urgency: Urgency { deadline: None, priority: Priority::Prompt },
            shared: None,
            progress: None,
            cancellation: None,
        }
    }
}

/// A call for tests to which its content does not matter.
#[cfg(test)]
pub(crate) static CALL: std::sync::LazyLock<Call> = std::sync::LazyLock::new(Call::default);

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("caller", &self.caller)
            .field("request_id", &self.request_id)
            .field("trace", &self.trace)
            .field("urgency", &self.urgency())
            .finish_non_exhaustive()
    }
}

impl Call {
    /// A call of the server itself, in the name of one of its tasks: the actor `system:<task>`.
    pub fn system(task: &str) -> Self {
        let actor = task.parse().ok().map(|name| Actor { method: AccessMethod::System, name });
        let caller = actor.map(|actor| Arc::new(Caller { actor, client: None, projects: None }));
        Self { caller, ..Self::default() }
    }

    /// The same call, by this caller.
    #[must_use]
    pub fn by(self, caller: Caller) -> Self {
        Self { caller: Some(Arc::new(caller)), ..self }
    }

    /// The same call, from a client that calls itself so.
    #[must_use]
    pub fn from_agent(self, agent: impl Into<Arc<str>>) -> Self {
        Self { agent: Some(agent.into()), ..self }
    }

    /// The same call, as part of a request.
    #[must_use]
    pub fn of_request(self, id: impl Into<Arc<str>>) -> Self {
        Self { request_id: Some(id.into()), ..self }
    }

    /// The same call, as part of a trace.
    #[must_use]
    pub fn traced(self, trace: Option<Trace>) -> Self {
        Self { trace, ..self }
    }

    /// The same call with this deadline, unless its own comes earlier.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        let urgency = self.urgency();
        let deadline = urgency.deadline.map_or(deadline, |own| own.min(deadline));
        Self { urgency: Urgency { deadline: Some(deadline), ..urgency }, shared: None, ..self.clone() }
    }

    /// The same call with the priority of a scan.
    #[must_use]
    pub fn scanning(&self) -> Self {
        let urgency = Urgency { priority: Priority::Scan, ..self.urgency() };
        Self { urgency, shared: None, ..self.clone() }
    }

    /// The call for work that several callers wait for, started by this one. It is as urgent as `shared` says at any
    /// time, and has no actor, since its result must not depend on one. Each waiting caller reports progress and is
    /// cancelled by itself.
    #[must_use]
    pub fn shared(&self, shared: watch::Receiver<Urgency>) -> Self {
        Self { caller: None, agent: None, shared: Some(shared), progress: None, cancellation: None, ..self.clone() }
    }

    /// The same call, which reports its progress to this listener.
    #[must_use]
    pub fn watched_by(self, progress: Arc<dyn Progress>) -> Self {
        Self { progress: Some(progress), ..self }
    }

    /// The same call, which ends when the token is cancelled.
    #[must_use]
    pub fn cancelled_by(self, token: CancellationToken) -> Self {
        Self { cancellation: Some(token), ..self }
    }

    /// The actor. `None` for shared work, and if the caller is not known.
    pub fn caller(&self) -> Option<&Caller> {
        self.caller.as_deref()
    }

    /// What the client calls itself.
    pub fn agent(&self) -> Option<&str> {
        self.agent.as_deref()
    }

    /// The request that it belongs to.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The trace that it belongs to.
    pub fn trace(&self) -> Option<Trace> {
        self.trace
    }

    /// How urgent it is now.
    pub fn urgency(&self) -> Urgency {
        self.shared.as_ref().map_or(self.urgency, |shared| *shared.borrow())
    }

    /// Whether prompt calls go first.
    pub fn is_scan(&self) -> bool {
        self.urgency().priority == Priority::Scan
    }

    /// Reports that `done` of `of` parts of a phase are done.
    pub fn report(&self, phase: Phase, done: usize, of: usize) {
        if let Some(progress) = &self.progress {
            let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
            progress.at(phase, count(done), count(of));
        }
    }

    /// Does work for this call: until it is done, its deadline passes or it is cancelled, whatever comes first.
    ///
    /// # Errors
    /// The work's own; `Timeout` past the deadline; `Cancelled`.
    pub fn bound<T, E: From<PortError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, E>> {
        // Work on a database takes some kilobytes, which would be held several times.
        let work = Box::pin(work);
        async {
            tokio::select! {
                biased;
                done = work => done,
                () = self.expired() => {
                    Err(PortError::Timeout("no answer before the deadline of the call".to_owned()).into())
                }
                () = self.cancelled() => Err(PortError::Cancelled.into()),
            }
        }
    }

    /// Does the work of a service for this call, which bounds its parts by the deadline itself, so that what is there in
    /// time is answered.
    ///
    /// # Errors
    /// The work's own; `Cancelled`.
    pub async fn unless_cancelled<T, E: From<PortError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            biased;
            () = self.cancelled() => Err(PortError::Cancelled.into()),
            // It may have been cancelled while the last part of the work was done.
            done = work => if self.is_cancelled() { Err(PortError::Cancelled.into()) } else { done },
        }
    }

    /// Waits until the call is prompt; for ever if that does not happen.
    pub async fn prompted(&self) {
        self.until_shared(|urgency| urgency.priority == Priority::Prompt).await;
    }

    /// Waits until its deadline has passed. A deadline of shared work may change: a later one counts when the earlier one
    /// has passed. An earlier one need not be noticed, since callers who leave take the work with them; to be woken by each
    /// caller who joins or leaves would cost more than the wait.
    async fn expired(&self) {
        loop {
            let Some(deadline) = self.urgency().deadline else {
                self.until_shared(|urgency| urgency.deadline.is_some()).await;
                continue;
            };
            sleep_until(deadline).await;
            if self.urgency().deadline.is_some_and(|now| now <= deadline) {
                return;
            }
        }
    }

    /// Waits until the callers that share the call have this urgency. Never returns if the call is not shared.
    async fn until_shared(&self, such: impl FnMut(&Urgency) -> bool) {
        let Some(shared) = &self.shared else { return std::future::pending().await };
        if shared.clone().wait_for(such).await.is_err() {
            // It can no longer change.
            std::future::pending::<()>().await;
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancellation.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    async fn cancelled(&self) {
        match &self.cancellation {
            Some(token) => token.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;
    use crate::kernel::PortResult;

    const SECOND: Duration = Duration::from_secs(1);

    async fn never() -> PortResult<()> {
        std::future::pending().await
    }

    fn urgency(deadline: Option<Instant>, priority: Priority) -> Urgency {
        Urgency { deadline, priority }
    }

    #[test]
    fn a_deadline_only_shortens() {
        let now = Instant::now();
        let call = Call::default().until(now + SECOND);
        assert_eq!(call.until(now + 2 * SECOND).urgency().deadline, Some(now + SECOND));
        assert_eq!(call.until(now).urgency().deadline, Some(now));
    }

    #[tokio::test]
    async fn work_is_given_up_when_the_deadline_passes_or_the_call_is_cancelled() {
        let late = Call::default().until(Instant::now());
        assert!(matches!(late.bound(never()).await, Err(PortError::Timeout(_))));
        assert_eq!(late.bound(async { Ok::<_, PortError>(7) }).await, Ok(7));
        let token = CancellationToken::new();
        let call = Call::default().cancelled_by(token.clone());
        let mut work = Box::pin(call.bound(never()));
        assert!(work.as_mut().now_or_never().is_none());
        token.cancel();
        assert_eq!(work.await, Err(PortError::Cancelled));
    }

    #[tokio::test]
    async fn shared_work_goes_on_for_those_who_wait_now() {
        let now = Instant::now();
        let first = now + Duration::from_millis(1);
        let (sender, receiver) = watch::channel(urgency(Some(first), Priority::Scan));
        let call = Call::system("test").shared(receiver);
        assert!(call.is_scan() && call.caller().is_none());
        let mut work = Box::pin(call.bound(never()));
        assert!(work.as_mut().now_or_never().is_none());
        sender.send_replace(urgency(None, Priority::Prompt));
        assert!(!call.is_scan());
        call.prompted().await;
        sleep_until(first).await;
        assert!(work.as_mut().now_or_never().is_none(), "the deadline is a later one now");
        sender.send_replace(urgency(Some(now), Priority::Prompt));
        assert!(matches!(work.await, Err(PortError::Timeout(_))));
    }

    #[test]
    fn those_who_wait_together_wait_for_the_latest_deadline_at_the_highest_priority() {
        let now = Instant::now();
        let scan = urgency(Some(now + SECOND), Priority::Scan);
        let prompt = urgency(Some(now), Priority::Prompt);
        assert_eq!(scan.or(prompt), urgency(Some(now + SECOND), Priority::Prompt));
        assert_eq!(scan.or(urgency(None, Priority::Scan)), urgency(None, Priority::Scan));
    }

    #[test]
    fn progress_reaches_who_watches_and_nobody_else() {
        #[derive(Default)]
        struct Seen(Mutex<Vec<(Phase, u32, u32)>>);
        impl Progress for Seen {
            fn at(&self, phase: Phase, done: u32, of: u32) {
                self.0.lock().unwrap().push((phase, done, of));
            }
        }
        let seen = Arc::new(Seen::default());
        let call = Call::default().watched_by(seen.clone());
        call.scanning().report(Phase::Fetch, 1, 2);
        call.shared(watch::channel(call.urgency()).1).report(Phase::Fetch, 2, 2);
        assert_eq!(*seen.0.lock().unwrap(), [(Phase::Fetch, 1, 2)]);
    }

    #[test]
    fn the_server_acts_in_the_name_of_its_tasks() {
        assert_eq!(Call::system("spool").caller().unwrap().actor.to_string(), "system:spool");
    }
}
