"""What any web application needs: middleware, work queues, storage of uploads, a request log."""
