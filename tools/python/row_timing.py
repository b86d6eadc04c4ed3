"""Times calls as `isofold bench` times kernels: rotating tensors, replayed graphs, medians. Times are in seconds."""
import math
import statistics
import time

import torch

from row_operators import DTYPES, shape_of

MOST_CALLS = 8192  # of a graph, and sets of tensors
REPLAY_SECONDS = 1e-3  # least time of a replay: what the replay itself costs vanishes
REPLAYS = 11
CPU_CACHE_BYTES = 64 << 20


class Calls:
    """Calls of `function` over `tokens` rows, each on the next of as many sets of tensors as it takes to rotate."""

    def __init__(self, function, inputs, tokens, n, device):
        self.function, self.inputs, self.tokens, self.n, self.device = function, inputs, tokens, n, device
        self.shared = self.tensors(shared=True)
        first = self.tensors(shared=False)
        results = function(**first, **self.shared)
        moved = sum(t.numel() * t.element_size() for t in (*first.values(), *results))
        cache = CPU_CACHE_BYTES
        if self.device == "cuda":
            cache = torch.cuda.get_device_properties(0).L2_cache_size
        count = max(2, min(MOST_CALLS, int(1.5 * cache / moved) + 1))
        self.sets = [first] + [self.tensors(shared=False) for _ in range(count - 1)]
        self.results = [None] * count
        self.wait()

    def tensors(self, shared):
        made = {}
        for name, dtype, extent, groups in self.inputs:
            if (extent in ("column", "scalar")) != shared:
                continue
            shape = shape_of(extent, groups, self.tokens, self.n)
            if dtype == "i32":
                made[name] = torch.randint(0, self.n, shape, device=self.device)
            else:
                made[name] = torch.randn(shape, dtype=DTYPES[dtype], device=self.device)
        return made

    def __call__(self, index):
        place = index % len(self.sets)
        self.results[place] = self.function(**self.sets[place], **self.shared)

    def wait(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def call_time(self):
        samples = []
        end = time.perf_counter() + 0.2
        while len(samples) < 20 or (time.perf_counter() < end and len(samples) < 2000):
            start = time.perf_counter()
            self(len(samples))
            self.wait()
            samples.append(time.perf_counter() - start)
        return statistics.median(samples[len(samples) // 10 :])

    def graph(self, stream, launches):
        self.results = [None] * len(self.sets)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            for index in range(launches):
                self(index)
        graph.replay()
        stream.synchronize()
        return graph

    def replay_time(self, graph, stream):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record(stream)
        graph.replay()
        stop.record(stream)
        stop.synchronize()
        return start.elapsed_time(stop) * 1e-3

    def gpu_time(self):
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for index in range(3):
                self(index)
            stream.synchronize()
            launches = len(self.sets)
            graph = self.graph(stream, launches)
            took = self.replay_time(graph, stream)
            if took < REPLAY_SECONDS and launches < MOST_CALLS:
                rotations = math.ceil(1.2 * REPLAY_SECONDS / took)
                launches = min(MOST_CALLS, launches * rotations)
                del graph
                graph = self.graph(stream, launches)
            return statistics.median(self.replay_time(graph, stream) for _ in range(REPLAYS)) / launches
