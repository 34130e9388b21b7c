// SpaceWatch: when to tell that a disk, or a server's memory, is filling up.
#pragma once

namespace millrace {

/// Tells each level once when it is reached, and again only after the use fell 2 % below it.
class SpaceWatch {
public:
    /// Other levels count from the next look on; 70 and 85 until then.
    void watch_for(unsigned warning_percent, unsigned alarm_percent) {
        levels_[0] = warning_percent;
        levels_[1] = alarm_percent;
    }
    /// @return the level just reached, or 0.
    [[nodiscard]] unsigned look(unsigned used_percent) noexcept;

private:
    unsigned levels_[2] = {70, 85};  // rising
    unsigned told_ = 0;
};

}  // namespace millrace
