// LastOfRow: which effects of a batch are the last word on their row. A batch is one transaction,
// so nobody sees the steps within it, and a store that writes last words alone holds the same.
#pragma once

#include "core/effect.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

namespace millrace {

/// Threads: one at a time. Allocates while its batches grow.
class LastOfRow {
public:
    /// Looks at a batch in the order of the log; what it said of an earlier one is gone.
    void look_at(std::span<const Effect> effects);
    /// Whether no later effect of the batch writes the row that effect `i` writes. A row is what
    /// effects of one kind with the same key write; deals and alerts are rows of their own each.
    [[nodiscard]] bool operator[](std::size_t i) const noexcept { return last_[i]; }

private:
    struct Row {
        std::uint64_t kind = 0;
        std::uint64_t account = 0;
        std::uint64_t first = 0;
        std::uint64_t second = 0;
        friend bool operator==(const Row&, const Row&) = default;
    };
    struct Hash {
        std::size_t operator()(const Row& row) const noexcept;
    };
    static Row row_of(const Effect& effect) noexcept;

    std::unordered_set<Row, Hash> seen_;
    std::vector<bool> last_;
};

}  // namespace millrace
