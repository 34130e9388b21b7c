#include "persist/image_migration.h"

#include "core/engine.h"

namespace millrace {
namespace {

struct Step {
    std::uint32_t from;
    std::uint32_t to;
    Status (*convert)(std::vector<std::byte>& image);
};

/// A new kImageFormat comes with a step from the one before it; steps are never removed.
constexpr Step kSteps[] = {
    {kImageFormat, kImageFormat, [](std::vector<std::byte>&) { return ok_status(); }},
};

}  // namespace

Status migrate_image(std::vector<std::byte>& image, std::string& message) {
    std::uint32_t format = image_format(image.data(), image.size());
    for (const Step& step : kSteps) {
        if (step.from != format) {
            continue;
        }
        if (auto done = step.convert(image); !done) {
            message = std::string{"image of format "} + std::to_string(step.from) + ": " +
                      done.error().what;
            return done;
        }
        format = step.to;
    }
    if (format != kImageFormat) {
        message = "snapshot image of format " + std::to_string(format) + ", this build has " +
                  std::to_string(kImageFormat) +
                  " and knows no way between them; use the build that made it";
        return {Errc::BadVersion, "snapshot image of another format"};
    }
    return ok_status();
}

}  // namespace millrace
