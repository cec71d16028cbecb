//! Where a claim gives way to what stands above it.

use super::engine::{Claim, Judge, ROOT_DEPTH};
use crate::profile::FunctionId;
use crate::verdict::catalogue::Rule;
use crate::verdict::category::{Category, Origin, Runtime};

/// How often a claim may give way to one further up.
const STEPS_UP: usize = 4;

impl<'j> Judge<'j> {
    /// Looks above the claim where its rule says that what stands there knows better: a few steps, each further up.
    pub(super) fn settle(
        &self,
        mut claim: Claim,
        mut rule: &'j Rule,
        mut above: &[FunctionId],
        runtime: Option<Runtime>,
    ) -> Claim {
        for _ in 0..STEPS_UP {
            let Some((at, better, upper)) = self.better(&claim, rule, above, runtime) else { break };
            (claim, rule, above) = (better, upper, above.get(at + 1..).unwrap_or(&[]));
        }
        match claim.category {
            Category::Idle if !rule.never_runs && !self.parked_is_idle => {
                Claim { category: Category::Scheduling, ..claim }
            }
            Category::ThreadWaiting | Category::Scheduling => self.under_idle_worker(claim, above, runtime),
            _ => claim,
        }
    }

    /// The frame above that the rule yields to, if nothing without a rule stands between. Where time elapses, a thread
    /// that the kernel switched away does what made it sleep.
    fn better(
        &self,
        claim: &Claim,
        rule: &Rule,
        above: &[FunctionId],
        runtime: Option<Runtime>,
    ) -> Option<(usize, Claim, &'j Rule)> {
        let switched = claim.category == Category::Scheduling && self.parked_is_idle && rule.runtime == Runtime::Kernel;
        if !rule.yields() && !switched {
            return None;
        }
        for (at, frame) in above.iter().enumerate().take(ROOT_DEPTH) {
            let (index, upper) = self.rule(*frame, runtime)?;
            let Some(category) = upper.category else {
                if upper.pass_through {
                    continue;
                }
                return None;
            };
            let knows_better = rule.yields_to(category) || rule.yields_to_cause(self.info(*frame).cause);
            if knows_better || switched && category != Category::Scheduling {
                let found = Claim { category, frame: *frame, rule: Some(index), counted: upper.counted, ..*claim };
                return Some((at, found, upper));
            }
        }
        None
    }

    /// A parking primitive under an idle worker is idle; on a cpu profile its cost is scheduling.
    fn under_idle_worker(&self, claim: Claim, above: &[FunctionId], runtime: Option<Runtime>) -> Claim {
        for frame in above {
            let Some((index, rule)) = self.rule(*frame, runtime) else {
                if self.info(*frame).origin == Origin::Runtime {
                    continue;
                }
                break;
            };
            match rule.category {
                Some(Category::Idle) if self.parked_is_idle || rule.never_runs => {
                    return Claim { category: Category::Idle, frame: *frame, rule: Some(index), ..claim };
                }
                Some(Category::Idle) => {
                    return Claim { category: Category::Scheduling, frame: *frame, rule: Some(index), ..claim };
                }
                // A scheduler that found nothing to run parks its own thread.
                Some(Category::Scheduling) if claim.category == Category::ThreadWaiting => {
                    let category = if self.parked_is_idle { Category::Idle } else { Category::Scheduling };
                    return Claim { category, frame: *frame, rule: Some(index), ..claim };
                }
                Some(Category::ThreadWaiting | Category::Scheduling | Category::LockContention) => {}
                None if rule.pass_through => {}
                _ => break,
            }
        }
        claim
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::kernel::ProfileType;
    use crate::verdict::catalogue::Rules;
    use crate::verdict::category::Category;

    #[rstest]
    #[case::hikari(
        "com/shop/Order.load;com/zaxxer/hikari/pool/HikariPool.getConnection;com/zaxxer/hikari/util/ConcurrentBag.borrow;java/util/concurrent/SynchronousQueue.poll;java/util/concurrent/SynchronousQueue$TransferQueue.awaitFulfill;java/util/concurrent/locks/LockSupport.parkNanos;jdk/internal/misc/Unsafe.park;libjvm.so.Unsafe_Park;libjvm.so.Parker::park;libc.so.6.pthread_cond_timedwait",
        Category::Database
    )]
    #[case::dbcp(
        "com/shop/Order.load;org/apache/commons/dbcp2/PoolingDataSource.getConnection;org/apache/commons/pool2/impl/GenericObjectPool.borrowObject;org/apache/commons/pool2/impl/LinkedBlockingDeque.takeFirst;java/util/concurrent/locks/AbstractQueuedSynchronizer$ConditionObject.await;java/util/concurrent/locks/LockSupport.park;jdk/internal/misc/Unsafe.park",
        Category::Database
    )]
    #[case::c3p0(
        "com/shop/Order.load;com/mchange/v2/c3p0/impl/C3P0PooledConnectionPool.checkoutPooledConnection;com/mchange/v2/resourcepool/BasicResourcePool.awaitAvailable;java/lang/Object.wait",
        Category::Database
    )]
    #[case::worker(
        "java/lang/Thread.run;java/util/concurrent/ThreadPoolExecutor$Worker.run;java/util/concurrent/ThreadPoolExecutor.runWorker;java/util/concurrent/ThreadPoolExecutor.getTask;java/util/concurrent/SynchronousQueue.poll;java/util/concurrent/locks/LockSupport.parkNanos;jdk/internal/misc/Unsafe.park",
        Category::Idle
    )]
    #[case::cleaner_of_a_driver(
        "java/lang/Thread.run;com/mysql/cj/jdbc/AbandonedConnectionCleanupThread.run;java/lang/ref/ReferenceQueue.remove;java/lang/Object.wait",
        Category::Idle
    )]
    fn who_waits_for_a_connection_of_a_pool_waits_for_the_database_and_a_worker_for_work(
        #[case] stack: &str,
        #[case] expected: Category,
    ) {
        for kind in [ProfileType::Wall, ProfileType::Samples] {
            assert_eq!(Rules::builtin().explain_stack(stack, kind).category, Some(expected));
        }
    }

    #[rstest]
    #[case::python(
        "<module> (shop.py:9);Logger._log (logging/__init__.py:1622);Logger.findCaller (logging/__init__.py:1580);print_stack (traceback.py:190);StackSummary.format (traceback.py:530)",
        Category::Logging
    )]
    #[case::jvm(
        "com/shop/Cart.add;ch/qos/logback/classic/pattern/LineOfCallerConverter.convert;ch/qos/logback/classic/spi/LoggingEvent.getCallerData;java/lang/Throwable.<init>;java/lang/Throwable.fillInStackTrace",
        Category::Logging
    )]
    #[case::node(
        "handle (/shop/cart.js:4);log (/shop/node_modules/log4js/lib/logger.js:82);defaultParseCallStack (/shop/node_modules/log4js/lib/logger.js:20);get stack;prepareStackTraceCallback (node:internal/errors:131)",
        Category::Logging
    )]
    #[case::of_a_real_exception(
        "com/shop/Cart.add;java/lang/IllegalStateException.<init>;java/lang/Throwable.<init>;java/lang/Throwable.fillInStackTrace",
        Category::Exception
    )]
    fn a_trace_that_finds_who_logs_is_logging(#[case] stack: &str, #[case] expected: Category) {
        assert_eq!(Rules::builtin().explain_stack(stack, ProfileType::Cpu).category, Some(expected));
    }

    #[rstest]
    #[case::socket(
        "sun/nio/ch/SocketChannelImpl.write;sun/nio/ch/FileDispatcherImpl.write0;write;sys_write_[k];vfs_write_[k];fsnotify_[k]",
        Some(Category::NetworkIo)
    )]
    #[case::file(
        "java/io/FileOutputStream.writeBytes;write;sys_write_[k];vfs_write_[k];fsnotify_[k]",
        Some(Category::DiskIo)
    )]
    #[case::terminal("shop;print;write;sys_write_[k];vfs_write_[k];tty_write_[k];n_tty_write_[k]", None)]
    #[case::virtual_machine("qemu;ioctl;genunix`ioctl;kvm`kvm_vcpu_ioctl;kvm`mapping_level", None)]
    fn what_is_open_decides_whether_the_kernel_writes_a_file(#[case] stack: &str, #[case] expected: Option<Category>) {
        assert_eq!(Rules::builtin().explain_stack(stack, ProfileType::Cpu).category, expected);
    }

    #[test]
    fn a_binding_of_node_does_what_its_caller_is_for() {
        for (stack, expected) in [
            ("append (/shop/wal.js:3);fsyncSync (node:fs:1291);fsync", Some(Category::DiskIo)),
            ("append (/shop/wal.js:3);fsync", None),
        ] {
            assert_eq!(Rules::builtin().explain_stack(stack, ProfileType::Cpu).category, expected, "{stack}");
        }
    }

    #[rstest]
    #[case::py_spy_of_wall_time(ProfileType::Wall, "_worker (concurrent/futures/thread.py:81)", Category::Idle)]
    #[case::py_spy_asks_for_states(ProfileType::Cpu, "_worker (concurrent/futures/thread.py:81)", Category::Idle)]
    #[case::parking_costs(ProfileType::Cpu, "concurrent/futures/thread.py:_worker", Category::Scheduling)]
    fn a_worker_of_a_python_pool_waits_for_work(
        #[case] kind: ProfileType,
        #[case] worker: &str,
        #[case] expected: Category,
    ) {
        let stack = format!("{worker};_queue_SimpleQueue_get;PyThread_acquire_lock_timed");
        assert_eq!(Rules::builtin().explain_stack(&stack, kind).category, Some(expected));
    }
}
