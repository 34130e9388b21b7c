// Live: what is seen while the demo runs: a redrawn screen on a terminal, a line every two seconds
// elsewhere.
#pragma once

#include "tools/demo_run/chaos.h"
#include "tools/demo_run/source.h"
#include "tools/inspect/view.h"

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace millrace::demo {

/// Threads: one. Restores the terminal when it is destroyed.
class Live {
public:
    /// @param out standard output, or standard error when that is for JSON.
    Live(std::FILE* out, const Segment& segment, std::vector<std::string> account_names);
    ~Live();
    Live(const Live&) = delete;
    Live& operator=(const Live&) = delete;

    /// Draws if it is time to.
    void tick(const Source& source, const std::vector<Kill>& kills, const std::string& phase);

private:
    void draw(const inspect::PipelineView& view, Nanos elapsed, const std::string& head,
              const std::vector<Kill>& kills);
    void line(const inspect::PipelineView& view, const std::string& head,
              const std::vector<Kill>& kills);

    std::FILE* out_;
    const Segment& segment_;
    std::vector<std::string> names_;
    bool terminal_;
    std::int64_t began_ns_;
    std::int64_t drawn_ns_ = 0;
    std::size_t kills_told_ = 0;
    std::optional<inspect::PipelineView> previous_;
};

/// One kill in a line: "engine killed: noticed 0.4ms, running 3.1ms, first message 3.4ms".
[[nodiscard]] std::string describe(const Kill& kill);

}  // namespace millrace::demo
