#include "persist/space_watch.h"

namespace millrace {

unsigned SpaceWatch::look(unsigned used_percent) noexcept {
    unsigned reached = 0;
    for (const unsigned level : levels_) {
        reached = used_percent >= level ? level : reached;
    }
    if (reached > told_) {
        told_ = reached;
        return reached;
    }
    if (used_percent + 2 < told_) {
        told_ = reached;
    }
    return 0;
}

}  // namespace millrace
