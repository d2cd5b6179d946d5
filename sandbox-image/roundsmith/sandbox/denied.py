"""The system calls that the filters deny, by name."""

EVER = """
accept accept4 acct add_key adjtimex bind bpf chroot clock_adjtime clock_settime connect
delete_module execve execveat fanotify_init fanotify_mark finit_module flock fsconfig fsmount fsopen
fspick getsockopt init_module inotify_add_watch inotify_init inotify_init1 io_setup io_uring_enter
io_uring_register io_uring_setup ioperm iopl ioprio_set kcmp kexec_file_load kexec_load keyctl
listen listmount lookup_dcookie mbind memfd_create memfd_secret migrate_pages mknod mknodat
modify_ldt mount_setattr move_mount move_pages mq_open mq_unlink msgctl msgget msgrcv msgsnd
name_to_handle_at open_by_handle_at open_tree open_tree_attr perf_event_open personality pidfd_getfd
pivot_root process_madvise process_mrelease process_vm_readv process_vm_writev ptrace quotactl
quotactl_fd reboot recvmmsg request_key sched_setaffinity sched_setattr sched_setparam
sched_setscheduler semctl semget semop semtimedop sendmmsg set_mempolicy setdomainname sethostname
setpriority settimeofday shmat shmctl shmget socket statmount swapoff swapon sync syncfs syslog
umount2 userfaultfd vhangup vmsplice
"""
"""What neither zygote nor child ever needs: installed in the zygote, inherited by every fork."""
CHILD = """
capset mount pidfd_open pidfd_send_signal recvfrom recvmsg rt_sigqueueinfo rt_tgsigqueueinfo seccomp
sendmsg sendto setns setsockopt socketpair timer_create tkill unshare
"""
"""What the zygote needs and a child must not have."""
METADATA = """
chmod chown fchmod fchmodat fchmodat2 fchown fchownat fremovexattr fsetxattr futimesat lchown
lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat utime utimensat utimes
"""
"""What changes a file that its user owns, wherever it is: Landlock does not keep that."""
