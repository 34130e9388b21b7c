// A disk that can be stopped: ext4 on a loop device over a small tmpfs, in a mount namespace of
// this process, frozen as `fsfreeze -f` does it: whoever writes waits in the kernel, and no signal
// ends the waiting.
//
// What is frozen is thawed, whatever becomes of the test: a guard process outside its tree does it
// when the test's end of a socket closes, or when kFrozenMax has passed since a freeze. Needs root.
#pragma once

#include "core/types.h"
#include "tests/journal/loop_device.h"
#include "tests/ops/temp_dir.h"

#include <memory>
#include <string>

namespace millrace::chaos {

/// So long after a freeze the guard thaws: no test may need a frozen disk for longer.
inline constexpr Nanos kFrozenMax = seconds(200);

/// Threads: one. To be made before any thread and any other child of this process.
class FreezableDisk {
public:
    /// @return nullptr if this machine cannot, with `why`.
    static std::unique_ptr<FreezableDisk> make(std::string& why);
    /// Thaws and unmounts.
    ~FreezableDisk();
    FreezableDisk(const FreezableDisk&) = delete;
    FreezableDisk& operator=(const FreezableDisk&) = delete;

    /// An empty folder on it.
    [[nodiscard]] std::string folder() const { return dir_ / "disk/journal"; }
    /// All that was written is flushed first. @return false with errno; also if the guard is gone.
    [[nodiscard]] bool freeze() const;
    /// Nothing happens if it is not frozen.
    void thaw() const;
    /// As ext4 does after an error, or XFS: from now on each call is answered with EIO. For good.
    /// @return false with errno.
    [[nodiscard]] bool shut_down() const;
    /// Takes every block that is free, also those kept for root. Again: what came free since.
    void fill() const;
    /// Gives back what fill() took.
    void make_room() const;

private:
    FreezableDisk() = default;
    std::string mount();
    [[nodiscard]] bool start_guard();

    test::TempDir dir_;
    std::unique_ptr<testing::LoopDevice> device_;
    int root_ = -1;   // the mounted file system's root
    int guard_ = -1;  // closed: the guard thaws and ends
};

/// Frozen while this lives.
class Frozen {
public:
    explicit Frozen(const FreezableDisk& disk) : disk_{disk}, frozen_{disk.freeze()} {}
    ~Frozen() { disk_.thaw(); }
    Frozen(const Frozen&) = delete;
    Frozen& operator=(const Frozen&) = delete;
    [[nodiscard]] bool ok() const noexcept { return frozen_; }

private:
    const FreezableDisk& disk_;
    bool frozen_;
};

}  // namespace millrace::chaos
