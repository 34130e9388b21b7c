// Redis as the pipeline uses it: the sink, the source RTSS and the doctor, from one configuration.
#pragma once

#include "gateway/redis_source.h"
#include "persist/redis_store.h"
#include "persist/redis_stream.h"
#include "shm/segment.h"
#include "shm/stage.h"
#include "tools/millrace/config.h"
#include "tools/millrace/id_book.h"

#include <memory>
#include <string>

namespace millrace {

[[nodiscard]] RedisPlace redis_place(const RedisConfig& redis);
/// What every key begins with.
[[nodiscard]] std::string redis_prefix(const Config& config);

/// RTSS as the gateway reads it.
[[nodiscard]] std::unique_ptr<SignalStream> make_signal_stream(RedisStreamOptions options);

/// How the sink writes, and `millrace recover` reads.
[[nodiscard]] RedisStoreOptions redis_store(const Config& config);

/// @param instance of the journal directory whose log it follows; 0 = not known: it is read again
/// and again, and Redis left alone meanwhile.
[[nodiscard]] std::unique_ptr<Stage> build_redis_sink(const Segment& segment, const Config& config,
                                                      std::uint32_t instance);
/// The source of kind "redis". @param instance as above. @return as RedisSource::create.
[[nodiscard]] Result<std::unique_ptr<Stage>> build_redis_source(Segment& segment,
                                                                const Config& config,
                                                                const IdBook& ids,
                                                                std::uint32_t instance,
                                                                std::string& message);

/// `millrace doctor redis`: prints each setting of the primary, with the mend of what is wrong.
/// @return 0 if all is well, 1 if something is wrong, 2 if it could not be asked.
[[nodiscard]] int doctor_redis(const Config& config);

}  // namespace millrace
